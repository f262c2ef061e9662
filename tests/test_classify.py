"""Classes of texts on the command line: train, label, look, evaluate; metrics against scikit-learn; what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training
from flax import nnx

from seqjax.data import LabelList
from seqjax.data.labelled_config import Labelled
from seqjax.models import classifier
from seqjax.models.classifier import AttentionClassifierConfig, BagClassifierConfig, SymbolReader, SymbolsConfig
from seqjax.tasks import classify_use
from seqjax.tasks.class_metrics import accuracy_of, confusion_matrix, macro_f1, ngram_baseline
from seqjax.tasks.classify import PRESETS, balance
from seqjax.tasks.classify_source import source_of
from seqjax.tasks.classify_use import ClassUse, examine
from seqjax.tasks.session import open_existing, trained
from seqjax.training.journal import read

TINY = [
    "--batch-size", "16", "--data.buckets", "1", "--log-every", "30", "--optimizer.warmup", "0", "--shown", "2",
    "--optimizer.learning-rate", "0.03", "--data.tokenizer", "word", "--label-smoothing", "0",
    "--model.symbols.embedding", "8", "--model.symbols.symbol-dropout", "0",
]  # fmt: skip
SIZES = {
    "bilstm": ["--model.reader.features", "8", "--model.output.pooling", "attention", "--model.output.attention", "4"],
    "bag": ["--model.output.pooling", "first", "--model.output.window", "4", "--model.output.hidden", "8"],
}


def sentences(count: int = 160) -> list[tuple[str, str]]:
    """The class is what the animal does."""
    random = np.random.default_rng(0)
    animals, places = ("cat", "dog", "hen"), ("mat", "roof", "hill")
    verbs = {"sat": "still", "slept": "still", "ran": "moving", "flew": "moving"}
    chosen = [(random.choice(animals), random.choice([*verbs]), random.choice(places)) for _ in range(count)]
    return [(verbs[verb], f"the {animal} {verb} number {n % 50} {place}") for n, (animal, verb, place) in
            enumerate(chosen)]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Two columns."""
    path = tmp_path_factory.mktemp("classes") / "animals.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in sentences()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory, file):
    """A finished run of a preset, made when asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def of(preset: str) -> Path:
        if preset not in made:
            words = ["classify", preset, "--out", folder / preset, "--data.path", file, *TINY, *SIZES[preset]]
            said = training(*words, "--steps", 60, "--evaluate-every", 30, "--class-weights", "balanced")
            assert said.code == 0, said.err
            made[preset] = folder / preset, said
        return made[preset][0]

    of.said = lambda preset: (of(preset), made[preset][1])[1]
    return of


@pytest.mark.parametrize("preset", SIZES)
def test_a_preset_learns_and_reports(preset, runs):
    row = read(runs(preset) / "metrics.jsonl")[-1]
    assert row["split"] == "test"
    assert row["accuracy"] > 0.9
    assert {"loss", "accuracy", "macro_f1", "baseline"} <= row.keys()
    assert (runs(preset) / "confusion.png").read_bytes().startswith(b"\x89PNG")
    said = runs.said(preset)
    assert "confusion.png" in said.out
    assert "right" in (runs(preset) / "samples.txt").read_text()


def test_every_preset_is_there_and_the_default_is_bilstm():
    assert {"lstm", "bilstm", "bag", "tcn", "transformer"} <= PRESETS.keys()


def test_a_line_gets_its_label_and_a_probability(runs):
    lines = "the cat slept number 3 mat\nthe hen flew number 7 roof\n"
    said = seqjax("predict", runs("bilstm"), stdin=lines)
    assert said.code == 0, said.err
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [label for label, _ in rows] == ["still", "moving"]
    every = seqjax("predict", runs("bilstm"), "--probabilities", stdin=lines).out.splitlines()
    two = seqjax("predict", runs("bilstm"), "--n-best", 2, stdin=lines).out.splitlines()
    assert every == two
    for line, (label, probability) in zip(every, rows, strict=True):
        pairs = [pair.rsplit(":", 1) for pair in line.split("\t")]
        assert pairs[0] == [label, probability]
        assert sum(float(number) for _, number in pairs) == pytest.approx(1, abs=2e-4)


def test_attention_shows_where_it_looked(runs):
    text = "the cat slept number 3 mat"
    said = seqjax("predict", runs("bilstm"), "--attention", stdin=text + "\n")
    _, _, looked = said.out.rstrip("\n").split("\t")
    pairs = [pair.rsplit(":", 1) for pair in looked.split(" ")]
    assert [piece for piece, _ in pairs] == text.split()
    assert sum(float(weight) for _, weight in pairs) == pytest.approx(1, abs=5e-3)
    assert_refused(seqjax("predict", runs("bag"), "--attention", stdin=text), "--model.output.pooling attention")


def test_a_line_is_labelled_alike_alone_and_among_others(runs):
    lines = [text for _, text in sentences(16)]
    together = seqjax("predict", runs("bilstm"), stdin="\n".join(lines)).out.splitlines()
    assert seqjax("predict", runs("bilstm"), stdin=lines[3]).out.splitlines() == together[3:4]
    assert seqjax("predict", runs("bilstm"), stdin="").out == ""
    assert_refused(seqjax("predict", runs("bilstm"), stdin="a\n\nb\n"), "line 2 is empty")


def test_evaluate_repeats_the_last_row_and_measures_other_files(runs, tmp_path):
    last = read(runs("bilstm") / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", runs("bilstm"), "--json").out)
    assert_own_splits(runs("bilstm"))
    for name in ("loss", "accuracy", "macro_f1"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    _, config, folder = open_existing(str(runs("bilstm")))
    valid = source_of(config.data).read(config.data).valid
    (tmp_path / "valid.tsv").write_text("".join(f"{one.label}\t{one.text}\n" for one in valid))
    found = json.loads(seqjax("evaluate", folder.path, "--json", "--data.path", tmp_path / "valid.tsv").out)
    of_valid = [row for row in read(folder.metrics) if (row["split"], row["step"]) == ("valid", last["step"])]
    assert [{name: row[name] for name in ("loss", "accuracy", "macro_f1")} for row in of_valid] == [
        pytest.approx({name: found[name] for name in ("loss", "accuracy", "macro_f1")}, rel=1e-4)
    ]
    shown = {line for line in (folder.path / "samples.txt").read_text().splitlines() if line.startswith("the ")}
    assert shown
    assert shown <= {one.text for one in valid}
    (tmp_path / "other.tsv").write_text("still\tthe dog sat number 1 hill\nmoving\tthe dog sat number 1 hill\n")
    assert json.loads(seqjax("evaluate", runs("bilstm"), "--json", "--data.path", tmp_path / "other.tsv").out)[
        "accuracy"
    ] == pytest.approx(0.5)
    (tmp_path / "strange.tsv").write_text("still\tthe dog sat\nstil\tthe dog sat\n")
    strange = seqjax("evaluate", runs("bilstm"), "--data.path", tmp_path / "strange.tsv")
    assert_refused(strange, "strange.tsv, line 2", "'stil'", "Did you mean `still`")


def test_the_help_of_a_run_shows_the_flags_of_its_task(runs):
    said = seqjax("predict", runs("bag"), "--help")
    assert all(flag in said.out for flag in ("--attention", "--probabilities", "--n-best"))


def test_metrics_equal_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.metrics import confusion_matrix as matrix

    random = np.random.default_rng(0)
    wanted = random.integers(0, 5, 300)
    made = np.where(random.random(300) < 0.6, wanted, random.integers(0, 6, 300))
    counts = confusion_matrix(wanted, made, 8)  # of which some never occur
    np.testing.assert_array_equal(counts, matrix(wanted, made, labels=range(8)))
    assert accuracy_of(counts) == pytest.approx(accuracy_score(wanted, made))
    assert macro_f1(counts) == pytest.approx(f1_score(wanted, made, average="macro"))


def test_a_report_reads_its_own_split_and_draws_what_was_wanted_in_rows(monkeypatch):
    drawn, compared = [], []

    class Sure(ClassUse):
        source = SimpleNamespace(
            scores=lambda wanted, made: {"seen": wanted.tolist()}, rival=lambda *given: compared.append(given) or {}
        )

        def probabilities(self, contents):
            return np.eye(2)[[0] * len(contents)]

    monkeypatch.setattr(classify_use, "draw_confusion", lambda counts, *given: drawn.append(counts.tolist()))
    parts = {name: [Labelled(label, "text") for label in labels] for name, labels in
             {"train": "ab", "valid": "ba", "test": "abb"}.items()}  # fmt: skip
    use = Sure(None, "front", LabelList(["a", "b"]), None, None)
    for rival in (True, False):
        measure = examine(use, parts, "folder", rival=rival)
        assert measure(None, "valid") == {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
        assert measure(None, "test") == {"accuracy": pytest.approx(1 / 3), "macro_f1": 0.25, "seen": [0, 1, 1]}
    assert drawn == [[[1, 0], [2, 0]]] * 2
    assert compared == [("front", parts["train"], parts["test"])]


def test_balanced_weights_equal_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = ["a"] * 7 + ["b"] * 2 + ["c"]
    found = balance([Labelled(label, "text") for label in labels], LabelList(["a", "b", "c"]))
    wanted = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(labels))
    np.testing.assert_allclose(found, wanted)


def test_the_baseline_learns_what_letters_tell():
    texts, labels = ["aaa", "aab", "zzy", "zzz"] * 5, ["a", "a", "z", "z"] * 5
    assert ngram_baseline(texts, labels, ["aaaa", "zz"], ["a", "z"]) == 1.0


def test_vectors_of_words_are_where_a_run_starts(file, tmp_path):
    vectors = "".join(f"{word} {n} 0.5 {-n}\n" for n, word in enumerate(("cat", "dog", "sat", "ran", "flew"), 1))
    (tmp_path / "vectors.txt").write_text(vectors)
    words = ["classify", "bag", "--out", tmp_path / "run", "--data.path", file, *TINY, *SIZES["bag"]]
    words += ["--embeddings.path", tmp_path / "vectors.txt", "--embeddings.no-tuned", "--steps", 1, "--no-baseline"]
    said = training(*words)
    assert said.code == 0, said.err
    assert "5 of" in said.out
    (tmp_path / "vectors.txt").unlink()
    use = trained(open_existing(str(tmp_path / "run")))
    table = use.params["encoder"]["embedding"]["frozen"]["table"]
    place = use.front.pieces("the dog sat").index("dog")
    dog = use.front.arrays(["the dog sat"])["symbols"][0][place]
    np.testing.assert_allclose(table[dog], [2, 0.5, -2])
    assert_refused(training(*words, "--out", tmp_path / "other", "--data.tokenizer", "char"), "--data.tokenizer word")


@pytest.mark.parametrize(
    "content, flags, words",
    [
        ("a\tx\nb\ty\nb\tz\n", [], ["class 'a' has one example", "line 1"]),
        ("a\tx\na\ty\n", [], ["the label 'a'", "nothing to tell apart"]),
        ("a\tx\nno tab\n", [], ["line 2", "has no tab"]),
        ("a\tx\n" * 4 + "b\ty\n" * 4, ["--model.output.pooling", "mid"], ["--model.output.pooling should"]),
        ("a\tx\n" * 4 + "b\ty\n" * 4, ["--label-smoothing", "1"], ["--label-smoothing"]),
        (
            "a\tx\n" * 4 + "b\ty\n" * 4,
            ["--model.symbols.symbol-dropout", "1"],
            ["--model.symbols.symbol-dropout should"],
        ),
    ],
)
def test_what_cannot_be_is_refused(content, flags, words, tmp_path):
    (tmp_path / "texts.tsv").write_text(content)
    said = training("classify", "--out", tmp_path / "run", "--data.path", tmp_path / "texts.tsv", *flags)
    assert_refused(said, *words)
    assert not (tmp_path / "run").exists()


def test_learned_positions_need_a_length(tmp_path):
    said = training("classify", "transformer", "--out", tmp_path / "run", "--model.reader.positions", "learned")
    assert_refused(said, "--data.length 128")


@pytest.mark.parametrize(
    "kind, vocabulary, asked, scale",
    [
        (BagClassifierConfig, 9, 0.0, 1.0), (BagClassifierConfig, 2000, 0.0, 0.1), (BagClassifierConfig, 9, 0.3, 0.3),
        (AttentionClassifierConfig, 9, 0.0, 0.25),
    ],
)  # fmt: skip
def test_first_vectors_are_as_long_as_is_said(monkeypatch, kind, vocabulary, asked, scale):
    scales, table = [], classifier.Embedding
    monkeypatch.setattr(
        classifier, "Embedding", lambda *sizes, scale, rngs: scales.append(scale) or table(*sizes, rngs=rngs)
    )
    config = kind(symbols=SymbolsConfig(embedding=16, scale=asked))
    nnx.eval_shape(lambda: SymbolReader(config, vocabulary, rngs=nnx.Rngs(0)))
    assert scales == [pytest.approx(scale)]
