"""The task ``tag`` from the command line: train, tag lines, evaluate other files, and what is refused."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.checks import InputError
from seqjax.data.conll import read_tagged
from seqjax.data.tag_config import TagsConfig
from seqjax.data.word_list import LabelList
from seqjax.tasks import tag_use
from seqjax.tasks.command import read_command
from seqjax.tasks.session import open_existing, trained
from seqjax.tasks.tag import build, use
from seqjax.tasks.tag_front import word_lists
from seqjax.tasks.tag_use import PredictTags, predict
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

NAMES = {"Ana": "PER", "Rui": "PER", "Faro": "LOC", "Beja": "LOC"}
TINY = [
    "--model.words.embedding", 6, "--model.words.character-embedding", 4, "--model.words.character-features", 4,
    "--batch-size", 8, "--data.buckets", 1, "--shown", 1, "--optimizer.warmup", 0, "--optimizer.learning-rate", 0.02,
    "--data.min-count", 1, "--model.reader.features", 8,
]  # fmt: skip


def sentences(count: int = 90) -> str:
    """People go to places; some have two names."""
    random, rows = np.random.default_rng(0), []
    for _ in range(count):
        names = random.choice([*NAMES], size=2)
        second = [(f"{names[0][0]}.", "I-" + NAMES[names[0]])] if random.random() < 0.5 else []
        words = [(names[0], "B-" + NAMES[names[0]]), *second, ("saw", "O"), (names[1], "B-" + NAMES[names[1]])]
        rows.append("".join(f"{word}\t{tag}\n" for word, tag in words))
    return "\n".join(rows)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("names") / "names.conll"
    path.write_text(sentences(), encoding="utf-8")
    return path


def command(out, file, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "tag", preset, "--out", out, "--data.path", file, *TINY,
        "--steps", 2, "--evaluate-every", 2, *words,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, file) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "names"
    said = training(*command(folder, file, "bilstm-crf", "--steps", 40, "--evaluate-every", 20))
    assert said.code == 0, said.err
    return folder


def test_a_thousand_sentences_are_tagged_in_one_call_a_bucket(run, monkeypatch):
    use, shapes = trained(open_existing(str(run))), []

    def counted(model):
        def decode(params, batch):
            shapes.append(batch["mask"].shape)
            return np.ones(batch["mask"].shape, int) * batch["mask"].sum(axis=1, keepdims=True)

        return decode

    monkeypatch.setattr(tag_use, "decoder", counted)
    names = LabelList([str(number) for number in range(40)])
    use = use._replace(labels=names, data=dataclasses.replace(use.data, buckets=4))
    words = [("Ana",) * size for size in np.random.default_rng(0).integers(0, 33, size=1000)]
    assert use.tag(words) == [[str(len(one))] * len(one) for one in words]
    assert len(shapes) == len({length for _, length in shapes}) > 1


def test_it_learns_tags_lines_and_draws_its_transitions(run):
    rows = read(run / "metrics.jsonl")
    assert rows[-1]["split"] == "test"
    assert rows[-1]["f1"] > 0.95
    assert {"loss", "accuracy", "precision", "recall"} <= rows[-1].keys()
    assert (run / "transitions.png").read_bytes().startswith(b"\x89PNG")
    said = seqjax("predict", run, stdin="Rui R. saw Faro\n\nAna saw Rui\n")
    assert said.out == "B-PER I-PER O B-LOC\n\nB-PER O B-PER\n"
    said = seqjax("predict", run, "--columns", stdin="Ana saw Faro\n")
    assert said.out == "Ana\tB-PER\nsaw\tO\nFaro\tB-LOC\n\n"
    said = seqjax("predict", run, "--punctuation", "--columns", stdin="Ana saw Faro,\n")
    assert [line.split("\t")[0] for line in said.out.splitlines()[:4]] == ["Ana", "saw", "Faro", ","]


@pytest.mark.parametrize("preset", ["bilstm-crf", "bilstm", "transformer"])
def test_every_preset_makes_a_job_whose_loss_is_a_number(preset, tmp_path, file):
    config = read_command([str(word) for word in command(tmp_path, file, preset)]).config
    job = build(config, RunFolder(tmp_path)).job
    params = jax.eval_shape(job.init, jax.random.key(0))
    sums, _, _ = jax.eval_shape(lambda p, b: job.objective.terms(p, b, None, None, False), params, job.batches[0])
    assert jax.tree.map(lambda leaf: leaf.shape, sums) == {"negative_log_likelihood": ()}
    assert ("transitions" in params) == config.model.crf


def test_characters_are_tagged_letter_by_letter(tmp_path):
    lines = ["".join(np.random.default_rng(number).choice([*"ACGT"], 12)) for number in range(40)]
    (tmp_path / "exons.tsv").write_text("".join(f"{line}\tOOOEEEEEEOOO\n" for line in lines))
    flags = ["--data.tokens", "characters", "--model.words.characters", "none", "--data.longest", 20]
    config = read_command([str(word) for word in command(tmp_path, tmp_path / "exons.tsv", "bilstm", *flags)]).config
    folder = RunFolder(tmp_path)
    build(config, folder)
    own = use(config, folder, lambda shapes: jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes))
    assert own.scheme == "runs"
    made = list(predict(own, ["ACGTACGT", "", "AC"], PredictTags()))
    assert [len(line) for line in made] == [8, 0, 2]
    assert set("".join(made)) <= {"O", "E"}
    assert list(predict(own, ["AC"], PredictTags(columns=True))) == [f"AC\t{made[-1]}"]
    with pytest.raises(InputError, match=r"line 1: the sentence has 24 tokens, .* 20"):
        list(predict(own, ["ACGT" * 6], PredictTags()))


def test_evaluate_repeats_the_last_row_and_reads_other_files(run, tmp_path, file):
    last = read(run / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "accuracy", "precision", "recall", "f1"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    lines = "\n".join(" ".join(one.words) for one in read_tagged([str(file)], TagsConfig())[:9])
    own = seqjax("predict", run, "--columns", stdin=lines + "\n").out
    (tmp_path / "own.conll").write_text(own)
    said = json.loads(seqjax("evaluate", run, "--json", "--data.path", tmp_path / "own.conll").out)
    assert said["f1"] == said["accuracy"] == 1.0
    (tmp_path / "new.conll").write_text("Ana\tB-PER\nInc.\tB-ORG\n")
    said = seqjax("evaluate", run, "--data.path", tmp_path / "new.conll")
    assert_refused(said, "new.conll, line 2", "'B-ORG'", "nowhere in the training split")


FILES = {
    "a missing column": ("Ana\tB-PER\nsaw\n", [], ["line 2", "2 columns"]),
    "an I- that opens a span": ("saw\tO\nAna\tI-PER\n\n" * 20, [], ["line 2", "I-PER", "--data.repair"]),
    "no blank lines": ("Ana\tB-PER\n" * 600, [], ["line 1", "600 tokens", "blank lines"]),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_wrong_are_refused_and_leave_no_run(kind, tmp_path):
    text, flags, words = FILES[kind]
    (tmp_path / "wrong.conll").write_text(text)
    assert_refused(training(*command(tmp_path / "run", tmp_path / "wrong.conll", "bilstm", *flags)), *words)
    assert not (tmp_path / "run").exists()


def test_a_rare_word_that_has_a_vector_is_known(tmp_path):
    (tmp_path / "vectors.txt").write_text("2 3\nbeja 1 2 3\nelsewhere 4 5 6\n")
    words = ["tag", "--data.path", "x", "--embeddings.path", tmp_path / "vectors.txt", "--data.min-count", 2]
    command = read_command([str(word) for word in words])
    known, _ = word_lists(command.config, RunFolder(tmp_path), [["Ana", "saw", "Ana"], ["Beja", "once"]])
    assert known.words == ("<unk>", "ana", "beja")


def test_a_tag_that_only_the_test_file_has_is_refused(tmp_path, file):
    (tmp_path / "test.conll").write_text("Ana\tB-PER\n\nInc.\tB-ORG\n")
    said = training(*command(tmp_path / "run", file, "bilstm", "--data.test-path", tmp_path / "test.conll"))
    assert_refused(said, "test.conll, line 3", "'B-ORG'")
