"""Masked language models on the command line: train, fill in masks, evaluate, read vectors; what is refused."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, story, training

from seqjax.checks import InputError
from seqjax.data.sentences import word_starts
from seqjax.tasks import mlm
from seqjax.tasks.mlm import from_frequencies
from seqjax.tasks.mlm_use import word_vectors
from seqjax.tasks.session import open_existing, trained
from seqjax.training.journal import read

SIZES = [
    "--model.features", "16", "--model.heads", "2", "--model.layers", "1", "--model.dropout", "0",
    "--data.length", "24", "--data.vocabulary", "80", "--data.buckets", "1", "--batch-size", "8",
    "--log-every", "40", "--shown", "1",
    "--optimizer.warmup", "0", "--optimizer.learning-rate", "0.02",
]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Two documents of simple sentences, a blank line between them."""
    path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text("\n\n".join(story(90, seed) for seed in range(4)), encoding="utf-8")
    return path


def command(out, file, *words) -> list:
    """A small run; ``words`` come last and win."""
    return ["mlm", "--out", out, "--data.path", file, "--data.documents", "paragraph", *SIZES, *words]


@pytest.fixture(scope="module")
def run(tmp_path_factory, file) -> Path:
    """A run with both terms of the loss."""
    out = tmp_path_factory.mktemp("runs") / "pairs"
    said = training(*command(out, file, "--nsp", "--data.whole-word", "--steps", 320, "--evaluate-every", 160))
    assert said.code == 0, said.err
    assert "every second one from elsewhere" in said.out
    assert "[MASK]" in (out / "samples.txt").read_text()
    return out


def test_it_learns_to_fill_in_and_both_terms_are_reported(run):
    rows = read(run / "metrics.jsonl")
    first, last = (row for row in rows if row["split"] == "valid")
    assert rows[-1]["split"] == "test"
    assert last["loss"] < first["loss"] or last["accuracy"] > 0.5
    assert last["accuracy"] > last["baseline"] + 0.1
    assert last["perplexity"] == pytest.approx(np.exp(last["loss"]))
    assert 0 < last["nsp_loss"] < 1.5
    assert 0.2 < last["nsp_accuracy"] < 1


def test_scores_begin_with_how_frequent_tokens_are():
    bias = np.asarray(
        from_frequencies(lambda key: {"bias": np.zeros(5, np.float32)}, np.array([0, 30, 10]))(None)["bias"]
    )
    assert np.exp(bias[:3]) == pytest.approx(np.array([0.5, 30.5, 10.5]) / 41.5)
    assert (bias[3:] == bias[0]).all()


def test_masks_are_filled_line_by_line(run):
    lines = ["The cat sat on the [MASK].", "[MASK] queen sang on [MASK] hill.", "the old [MASK] slept"]
    said = seqjax("predict", run, stdin="\n".join(lines) + "\n")
    assert said.code == 0, said.err
    made = said.out.splitlines()
    assert len(made) == 3
    assert "[MASK]" not in said.out
    assert made[0].split()[-1] in ("mat.", "hill.", "roof.")
    assert made[1] == "the queen sang on the hill."
    assert made[2].startswith("the old ")
    assert made[2].endswith(" slept")


def test_candidates_come_with_their_probabilities(run):
    said = seqjax("predict", run, "--n-best", 4, stdin="the [MASK] sat on the [MASK].\nthe ca[MASK] slept\n")
    assert said.code == 0, said.err
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 4 + ["2"] * 4
    for number in "12":
        found = [float(p) for n, p, _ in rows if n == number]
        assert found == sorted(found, reverse=True)
        assert 0 < sum(found) <= 1
    assert len({text for _, _, text in rows}) == 8
    assert all(text.startswith("the ca") and text.endswith(" slept") for n, _, text in rows if n == "2")


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("the [MASK] sat\nthe cat sat\n", "line 2: there is no [MASK] to fill in"),
        ("the [MASK] sat " + "cat " * 40, "line 1: should have at most 22 tokens"),
        ("the [MASK] \u2603\n", "line 1: tokenizer: the text holds what the training text never did: '\u2603'"),
    ],
    ids=["no mask", "too long", "never seen"],
)
def test_prompts_that_cannot_be_read_are_refused(run, lines, wanted):
    assert_refused(seqjax("predict", run, stdin=lines), wanted)


def test_a_text_is_evaluated_by_the_run(run, tmp_path):
    assert_own_splits(run)
    last, own = read(run / "metrics.jsonl")[-1], json.loads(seqjax("evaluate", run, "--json").out)
    for name in ("loss", "accuracy", "nsp_loss", "nsp_accuracy"):
        assert own[name] == pytest.approx(last[name], rel=1e-4)
    other = tmp_path / "other.txt"
    other.write_text(story(60, seed=8))
    said = seqjax("evaluate", run, "--data.path", other, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["accuracy"] > 0.3
    assert 0 < found["nsp_accuracy"] < 1


def test_a_word_has_another_vector_in_another_sentence_and_the_same_in_any_company(run):
    filler = trained(open_existing(run))
    sentences = [["the", "cat", "sat", "on", "the", "hill"], ["the", "hill"], ["a", "queen"]]
    long, short, _ = word_vectors(filler, sentences)
    assert long.shape == (6, 16)
    assert np.abs(long[5] - short[1]).max() > 1e-3
    alone = word_vectors(filler, sentences[1:2])[0]
    np.testing.assert_allclose(alone, short, atol=1e-6)
    with pytest.raises(InputError, match="sentence 1 should have at most 22 tokens"):
        word_vectors(filler, [["cat"] * 30])


def test_pairs_of_a_text_without_sentence_boundaries_are_refused(tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("".join(f"the cat number {n} sat on the mat\n" for n in range(300)))
    assert_refused(training(*command(tmp_path / "run", text, "--nsp")), "no sentence boundary was found")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--nsp-weight", "-1"], "--nsp-weight should be a number"),
        (["--data.masked", "0"], "--data.masked should be a share"),
    ],
    ids=["weight", "share"],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, file, flags, wanted):
    assert_refused(training(*command(tmp_path / "run", file, *flags)), wanted)


def test_what_is_hidden_is_what_the_configuration_says(run, monkeypatch):
    config, tokenizer, asked = open_existing(run).config, trained(open_existing(run)).tokenizer, []
    monkeypatch.setattr(mlm, "masker", lambda special, **how: asked.append(how))
    monkeypatch.setattr(mlm, "example_batches", lambda found, **how: how)
    for whole in (False, True):
        data = dataclasses.replace(config.data, whole_word=whole, masked=0.3)
        mlm.masked_batches(dataclasses.replace(config, data=data, seed=7), None, tokenizer, train=True)
    starts = [how.pop("starts") for how in asked]
    assert asked == [{"share": 0.3, "seed": 7, "unknown": tokenizer.unknown}] * 2
    assert starts[0] is None
    np.testing.assert_array_equal(starts[1], word_starts(tokenizer))


def test_a_run_begins_with_how_frequent_tokens_are(run, monkeypatch):
    opened = open_existing(run)
    monkeypatch.setattr(mlm, "from_frequencies", lambda init, counts: counts)
    assert mlm.build(opened.config, opened.folder).job.init.sum() > 0


def test_the_baseline_always_says_the_commonest_token_of_training():
    said = {"train": [1, 1, 1, 2, 3], "valid": [2, 2, 2, 1, 5, 0]}  # 5 is unknown, 0 a boundary
    rows = {name: SimpleNamespace(steps={"tokens": [np.array(ids)]}) for name, ids in said.items()}
    report = mlm.reporter(rows, SimpleNamespace(size=6, unknown=5))
    found = report({"mlm": (4.0, 2), "accuracy": (1.0, 2)}, "valid")
    assert (found["loss"], found["accuracy"], found["baseline"]) == (2.0, 0.5, 0.25)
