"""Vectors of words on the command line: train, ask for neighbours and analogies, judge, export, start another model."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.checks import InputError
from seqjax.data.word_questions import Analogy, Similarity
from seqjax.interop.word_vectors import read_vectors
from seqjax.plots.embedding_map import embedding_map, principal_plane
from seqjax.tasks import embeddings_use
from seqjax.tasks.embeddings_use import VectorsData
from seqjax.tasks.session import open_existing, trained
from seqjax.tasks.word_embeddings import EmbeddingsConfig, fill_vectors
from seqjax.tasks.word_judgements import Judged, Vocabulary, spearman
from seqjax.training.journal import read

FAMILIES = {"pets": ("cat", "dog", "fish"), "cars": ("truck", "van", "bus"), "fruit": ("plum", "pear", "fig")}
RANDOM = np.random.default_rng(0)
TINY = ["--model.features", "8", "--data.min-count", "2", "--log-every", "40", "--shown", "1"]
WINDOWS = ["--batch-size", "16", "--windows.span", "4", "--windows.shared", "16", "--windows.subsample", "0"]
FLAGS = dict.fromkeys(("skipgram", "skipgram-softmax", "cbow"), WINDOWS) | {"glove": ["--batch-size", "32"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Lines that speak of one family each, and of nothing else that tells it."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = []
    for _ in range(600):
        family = sorted(FAMILIES)[RANDOM.integers(3)]
        lines.append(" ".join([*RANDOM.choice(FAMILIES[family], 6), "The"]))
    path.write_text("\n".join(lines))
    return path


def command(out, file, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "embeddings", preset, "--out", out, "--data.path", file, *TINY, *FLAGS[preset],
        "--steps", 2, "--evaluate-every", 2, *words,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory, file):
    """A finished run of each preset, made when asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def of(preset: str) -> Path:
        if preset not in made:
            steps = ["--steps", 400, "--evaluate-every", 200] if preset == "skipgram" else []
            said = training(*command(folder / preset, file, preset, *steps))
            assert said.code == 0, said.err
            made[preset] = folder / preset
        return made[preset]

    return of


@pytest.mark.parametrize("preset", FLAGS)
def test_every_preset_trains_and_reports_the_mean_loss(preset, runs):
    rows = read(runs(preset) / "metrics.jsonl")
    assert_own_splits(runs(preset))
    coins = {"skipgram": 6 * np.log(2), "cbow": 6 * np.log(2), "skipgram-softmax": np.log(10), "glove": np.inf}
    assert 0 < rows[0]["loss"] < coins[preset] + 0.1
    assert json.loads(seqjax("evaluate", runs(preset), "--json").out)["loss"] == pytest.approx(
        rows[-1]["loss"], rel=1e-5
    )


def test_it_learns_who_belongs_together(runs):
    rows = [row["loss"] for row in read(runs("skipgram") / "metrics.jsonl") if row["split"] == "valid"]
    assert rows[-1] < rows[0] < 6 * np.log(2)
    for family in FAMILIES.values():
        said = seqjax("neighbours", runs("skipgram"), family[0].upper(), "--count", 2)
        assert {line.split("\t")[1] for line in said.out.splitlines()} == set(family[1:])


def test_several_words_are_asked_for_and_drawn(runs, tmp_path):
    said = seqjax("neighbours", runs("skipgram"), "cat", "plum", "--count", 1, "--map", tmp_path / "map.png")
    assert [line for line in said.out.splitlines() if line.endswith(":")] == ["cat:", "plum:"]
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_an_analogy_is_never_answered_with_its_own_words(runs):
    said = seqjax("analogy", runs("skipgram"), "cat", "dog", "plum", "--count", 20)
    answers = [line.split("\t")[1] for line in said.out.splitlines()]
    assert len(answers) == 10 - 3
    assert not {"cat", "dog", "plum"} & set(answers)


def test_unknown_words_are_refused_and_the_nearest_spelling_named(runs):
    assert_refused(seqjax("neighbours", runs("skipgram"), "trukc"), "`trukc`", "10 words", "Did you mean `truck`?")
    assert_refused(seqjax("analogy", runs("skipgram"), "cat", "dgo", "plum"), "`dgo`", "`dog`")
    assert_refused(seqjax("neighbours", runs("skipgram"), "cat", "--count", 0), "--count")
    assert_refused(seqjax("neighbours", runs("skipgram")), "RUN WORD")
    assert_refused(seqjax("neighbour", runs("skipgram"), "cat"), "Did you mean `neighbours`")


@pytest.mark.parametrize("format", ["word2vec", "word2vec-binary", "glove"])
def test_vectors_are_written_for_other_programs(format, runs, tmp_path):
    said = seqjax("export", runs("glove"), tmp_path / "vectors", "--format", format)
    assert "10 vectors of 8 features" in said.out
    found, learned = read_vectors(tmp_path / "vectors"), trained(open_existing(str(runs("glove"))))
    assert found.words == learned.words
    np.testing.assert_array_equal(found.vectors, learned.vectors)
    assert_refused(seqjax("export", runs("glove"), tmp_path), "a file in a folder that exists")


def test_another_model_starts_with_the_vectors_of_a_run(runs):
    table, line = fill_vectors(
        np.zeros((3, 8)), ["<unk>", "Dog", "zebra"], EmbeddingsConfig(path=str(runs("skipgram")))
    )
    assert line.startswith("1 of 2 words (50.0 %)")
    assert table[1].any()
    assert not table[2].any()
    with pytest.raises(InputError, match="no word in common"):
        fill_vectors(np.zeros((1, 8)), ["zebra"], EmbeddingsConfig(path=str(runs("skipgram"))))


def test_people_and_analogies_judge(runs, tmp_path):
    pairs, questions = tmp_path / "pairs.tsv", tmp_path / "questions.txt"
    pairs.write_text("cat\tdog\t9\ncat\tvan\t2\nplum\tfig\t8\nzebra\tdog\t1\n")
    questions.write_text(": kin\ncat dog van bus\nzebra dog van bus\n: none\na b c d\n")
    said = seqjax("evaluate", runs("skipgram"), "--json", "--data.similarity", pairs, "--data.analogies", questions)
    found = json.loads(said.out)
    assert found["spearman pairs"] >= 0.5
    assert (found["known pairs"], found["known questions"]) == ("3 of 4", "1 of 3")
    assert "accuracy questions: kin" in found
    assert "accuracy questions: none" not in found
    assert "loss" not in found
    pairs.write_text("zebra\tgnu\t9\n")
    questions.write_text("zebra gnu ant bee\n")
    assert_refused(seqjax("evaluate", runs("skipgram"), "--data.similarity", pairs), "pairs.tsv", "of 1 pairs, 0 are")
    assert_refused(seqjax("evaluate", runs("skipgram"), "--data.analogies", questions), "questions.txt", "no question")


def test_text_that_cannot_be_learned_from_is_refused_and_leaves_no_run(tmp_path):
    (tmp_path / "rare.txt").write_text("one two three\nfour five six\nseven eight nine\n")
    said = training(*command(tmp_path / "run", tmp_path / "rare.txt", "skipgram"))
    assert_refused(said, "none stands 2 times")
    (tmp_path / "alone.txt").write_text("one\n" * 50)
    assert_refused(
        training(*command(tmp_path / "run", tmp_path / "alone.txt", "glove")), "no line holds two known words"
    )
    assert not (tmp_path / "run").exists()


def test_measures_are_those_of_gensim(tmp_path):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(6)
    words = [f"w{number}" for number in range(40)]
    vectors = RANDOM.standard_normal((40, 6)).astype(np.float32)
    keyed.add_vectors(words, vectors)
    ours = Vocabulary(words, vectors)
    pairs = [Similarity(*RANDOM.choice(words, 2, replace=False), float(RANDOM.integers(10))) for _ in range(60)]
    (tmp_path / "pairs").write_text("".join(f"{a}\t{b}\t{score}\n" for a, b, score in pairs))
    wanted = keyed.evaluate_word_pairs(str(tmp_path / "pairs"))[1].statistic
    assert ours.agree(pairs, "pairs").value == pytest.approx(wanted, abs=1e-6)
    questions = [Analogy(*RANDOM.choice(words, 4, replace=False)) for _ in range(300)]
    questions = [q._replace(d=ours.analogy(*q[:3], 1)[0].word) if n % 3 else q for n, q in enumerate(questions)]
    (tmp_path / "asked").write_text(": all\n" + "".join(" ".join(question) + "\n" for question in questions))
    wanted = keyed.evaluate_word_analogies(str(tmp_path / "asked"), case_insensitive=False)[0]
    assert ours.solve({"all": questions}, "asked")["all"].value == pytest.approx(wanted)
    assert [near.word for near in ours.neighbours("w3", 5)] == [word for word, _ in keyed.most_similar("w3", topn=5)]


def test_ranks_of_equals_are_shared():
    assert spearman(np.array([1, 1, 2, 3]), np.array([1, 1, 2, 3])) == pytest.approx(1)
    assert spearman(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    assert spearman(np.array([1, 2, 3]), np.array([1, 1, 1])) == 0


def test_a_map_keeps_what_sets_words_apart():
    vectors = np.random.default_rng(0).normal(size=(6, 4)) * [9, 3, 0.1, 0.1]
    points, shares = principal_plane(vectors)
    values = np.sort(np.linalg.eigvalsh(np.cov(vectors.T)))[::-1]
    np.testing.assert_allclose(shares, values[:2] / values.sum(), rtol=1e-6)
    np.testing.assert_allclose((points**2).sum(axis=0) / 5, values[:2], rtol=1e-6)
    drawn = embedding_map(vectors, list("abcdef"), groups=list("xxyyzz"), title="letters")
    assert len(drawn.axes[0].texts) == 6
    assert principal_plane([[1.0, 2.0]])[0].tolist() == [[0.0, 0.0]]
    for bad, message in ((vectors[:5], "vectors"), (vectors * np.nan, "finite")):
        with pytest.raises(InputError, match=message):
            embedding_map(bad, list("abcdef"))


def test_the_accuracy_of_all_sections_counts_the_questions_that_are_known(monkeypatch):
    sections = {"one": Judged(0.5, 2, 9), "two": Judged(1.0, 2, 2), "none": Judged(0.0, 0, 5)}
    monkeypatch.setattr(embeddings_use, "read_analogies", lambda path: None)
    learned = SimpleNamespace(vocabulary=SimpleNamespace(solve=lambda questions, where: sections))
    assert embeddings_use.judge(learned, VectorsData(analogies=("dir/all.txt",))) == {
        "accuracy all": 0.75, "known all": "4 of 16", "accuracy all: one": 0.5, "accuracy all: two": 1.0,
    }  # fmt: skip
