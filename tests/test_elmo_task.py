"""ELMo on the command line: train, write vectors, evaluate; classify and tag from there; what is refused."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, snapshot, story, training

from seqjax.tasks.session import best_of, open_existing
from seqjax.training.journal import read

SMALL = ["--batch-size", "8", "--log-every", "20", "--optimizer.warmup", "0", "--data.buckets", "1", "--shown", "1"]
SIZES = [
    "--model.features", "8", "--model.hidden", "12", "--model.layers", "1", "--model.dropout", "0",
    "--model.spelling.widths", "1", "3", "--model.spelling.filters", "4", "8", "--model.spelling.embedding", "4",
    "--data.characters", "6", "--data.length", "12", "--optimizer.learning-rate", "0.03",
]  # fmt: skip

PLAIN = [
    "--model.words.embedding", 4, "--model.reader.features", 8, "--model.reader.no-bidirectional",
    "--model.words.dropout", 0, "--model.reader.dropout", 0, "--model.elmo-dropout", 0,
    "--optimizer.learning-rate", "0.03", "--steps", 30, "--evaluate-every", 30,
]  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A run of elmo."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "story.txt").write_text(story(300))
    said = training(
        "elmo", "--out", folder / "run", "--data.path", folder / "story.txt", *SMALL, *SIZES,
        "--steps", 50, "--evaluate-every", 25,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "2 × 1 × LSTM of 12 to 8" in said.out
    return folder / "run"


def test_both_directions_learn_more_than_how_frequent_words_are(start):
    rows = read(start / "metrics.jsonl")
    first, last = (row for row in rows if row["split"] == "valid")
    assert last["loss"] < first["loss"]
    assert rows[-1]["split"] == "test"
    assert rows[-1]["perplexity"] == pytest.approx(np.exp(rows[-1]["loss"]))
    for name in ("perplexity", "forward_perplexity", "backward_perplexity"):
        assert rows[-1][name] < 0.6 * rows[-1]["baseline"]
    both = rows[-1]["forward_perplexity"] * rows[-1]["backward_perplexity"]
    assert rows[-1]["perplexity"] == pytest.approx(both**0.5, rel=1e-5)
    assert "from the right" in (start / "samples.txt").read_text().replace("from right", "from the right")


def test_evaluate_repeats_the_last_row_and_measures_other_files(start, tmp_path):
    last = read(start / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", start, "--json").out)
    assert_own_splits(start)
    for name in ("loss", "perplexity", "baseline"):
        assert said[name] == pytest.approx(last[name], rel=1e-5)
    (tmp_path / "odd.txt").write_text("mat the on sat cat The. Roof hill sang!\n" * 9)
    other = json.loads(seqjax("evaluate", start, "--json", "--data.path", tmp_path / "odd.txt").out)
    assert other["loss"] > said["loss"]


def test_vectors_of_a_line_are_the_same_whatever_the_other_lines(start, tmp_path):
    lines = ["The cat sat on the mat.", "", "The old man slept on the roof.", "unheard-of words"]
    said = seqjax("predict", start, "--out", tmp_path / "all.npz", stdin="\n".join(lines) + "\n")
    assert said.code == 0, said.err
    assert "4 sentences in" in said.err
    assert [row.split("\t")[0] for row in said.out.splitlines()] == ["7", "0", "8", "2"]
    alone = seqjax("predict", start, "--out", tmp_path / "one.npz", stdin=lines[2] + "\n")
    assert alone.out == said.out.splitlines()[2] + "\n"
    whole, single = np.load(tmp_path / "all.npz"), np.load(tmp_path / "one.npz")
    np.testing.assert_allclose(single["layers/1"], whole["layers/3"], atol=1e-6)
    assert whole["words/3"].tolist() == ["The", "old", "man", "slept", "on", "the", "roof", "."]
    assert whole["layers/2"].shape == (2, 0, 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.npz", "one.npz"]


def test_what_cannot_be_written_or_read_is_refused(start, tmp_path):
    assert_refused(seqjax("predict", start, "--out", "v.npy", stdin="a\n"), "should end in .npz", "vectors.npz")
    assert_refused(seqjax("predict", start, "--out", tmp_path / "no" / "v.npz", stdin="a\n"), "cannot be written")
    out = tmp_path / "new"
    (tmp_path / "short.txt").write_text(story(5))
    short = ["--data.path", tmp_path / "short.txt", *SMALL]
    assert_refused(training("elmo", "--out", out, *short), "the training text is too short", "4 examples")
    assert_refused(training("elmo", "--out", out, *short, "--data.min-count", 99), "none stands 99 times")
    assert_refused(training("elmo", "--out", out, "--shown", 99), "at most 16")
    assert not out.exists()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Sentences, and whether they tell of a cat or a queen."""
    path = tmp_path_factory.mktemp("labelled") / "stories.tsv"
    lines = dict.fromkeys(line for line in story(500, 3).splitlines() if "cat" in line or "queen" in line)
    path.write_text("".join(f"{'animal' if 'cat' in line else 'person'}\t{line}\n" for line in lines) * 9)
    return path


def classify(out, start, data, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "classify", "elmo", "--out", out, "--pretrained.run", start, "--data.path", data, *SMALL, "--no-baseline",
        *PLAIN, "--model.output.dropout", 0, "--steps", 60, "--evaluate-every", 60, *words,
    ]  # fmt: skip


def elmo_of(run) -> dict:
    """The parameters of the part that came from elsewhere, and of the mix."""
    return best_of(open_existing(run))[0]["encoder"]["vectors"]


def test_a_classifier_begins_with_the_run_leaves_it_as_it_is_and_never_needs_it_again(tmp_path, start, labelled):
    old = Path(shutil.copytree(start, tmp_path / "old"))
    said = training(*classify(tmp_path / "new", old, labelled))
    assert said.code == 0, said.err
    assert "ELMo of 2 × 1 × 8" in said.out
    assert "left as it is" in said.out
    assert read(tmp_path / "new" / "metrics.jsonl")[-1]["accuracy"] == 1
    found, before = elmo_of(tmp_path / "new"), best_of(open_existing(start))[0]["elmo"]
    jax.tree.map(np.testing.assert_array_equal, found["elmo"]["frozen"], before)
    assert np.abs(found["mix"]["scores"]).max() > 0
    assert (tmp_path / "new" / "scalar_mix.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(old)
    made = seqjax("predict", tmp_path / "new", stdin="The cat sat on the mat.\nThe queen sang on the hill.\n")
    assert [line.split("\t")[0] for line in made.out.splitlines()] == ["animal", "person"], made.err
    kept = snapshot(tmp_path / "new" / "pretrained")
    assert set(kept) == {"config.json", "words.json", "characters.json"}


def test_a_tagger_may_train_the_run_on(tmp_path, start):
    words = [line.rstrip(".").split() for line in story(120, 5).splitlines()]
    tags = {"cat": "B-BEAST", "dog": "B-BEAST", "queen": "B-PERSON", "man": "B-PERSON"}
    text = "\n".join("".join(f"{word} {tags.get(word, 'O')}\n" for word in line) for line in words)
    (tmp_path / "tags.conll").write_text(text)
    said = training(
        "tag", "elmo", "--out", tmp_path / "new", "--pretrained.run", start, "--pretrained.tuned", *SMALL,
        "--data.path", tmp_path / "tags.conll", *PLAIN, "--model.words.characters", "none", "--model.no-crf",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "trained on" in said.out
    assert read(tmp_path / "new" / "metrics.jsonl")[-1]["f1"] > 0.9
    found, before = elmo_of(tmp_path / "new"), best_of(open_existing(start))[0]["elmo"]
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), found["elmo"], before)
    assert 0 < max(jax.tree.leaves(moved)) < 2
    made = seqjax("predict", tmp_path / "new", stdin="The old man slept on the hill\n")
    assert made.out == "O O B-PERSON O O O O\n", made.err


def test_a_start_that_is_none_is_refused(tmp_path, start, labelled):
    out = tmp_path / "new"
    from_nothing = [word for word in classify(out, "", labelled) if word not in ("--pretrained.run", "")]
    assert_refused(training(*from_nothing), "python train.py elmo --data.path FILE --out runs/elmo")
    assert_refused(training(*classify(out, "", labelled)), "--pretrained.run is an empty name")
    assert_refused(training(*classify(out, start, labelled, "--data.length", 3)), "has 7 words", "--data.too-long")
    assert_refused(training(*classify(out, start, labelled, "--model.elmo-dropout", 1)), "--model.elmo-dropout should")
    assert_refused(training(*classify(out, start, labelled, "--model.words.characters", "cnn")), "should be none")
    assert not out.exists()
