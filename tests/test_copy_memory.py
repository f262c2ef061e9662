"""Copy memory: what is laid out, that training never sees it twice, and the task from the command line."""

import functools
import json

import numpy as np
import pytest
from command_line import assert_refused, seqjax, training

from seqjax.checks import InputError
from seqjax.data import Examples, LabelList, count_words, example_batches
from seqjax.data.copy_memory import SYMBOLS, CopyMemoryConfig, copy_of, memoryless, redraw_copies, write_copies
from seqjax.data.tagged import encode_tags, encode_words
from seqjax.tasks.session import open_existing
from seqjax.tasks.tag import build
from seqjax.training.journal import read

BLANKS = 5


def batches(seed: int = 0):
    """Training batches whose symbols are drawn anew, and their words and labels."""
    sentences = write_copies(CopyMemoryConfig(blanks=BLANKS, sequences=(8, 2, 2)))[0]
    words = count_words([one.words for one in sentences])
    labels = LabelList(("O", *SYMBOLS))
    steps = encode_words([one.words for one in sentences], words, None) | {"tags": encode_tags(sentences, labels)}
    change = functools.partial(
        redraw_copies, seed=seed, blanks=BLANKS,
        words=words.encode(SYMBOLS), tags=labels.encode(SYMBOLS, "test"),
    )  # fmt: skip
    return example_batches(Examples(steps, {}), rows=4, seed=seed, train=True, change=change), words, labels


def test_training_draws_whole_new_sequences_by_seed_and_step():
    data, words, labels = batches()
    seen = set()
    for number in range(6):  # three epochs
        batch, again = data[number], batches()[0][number]
        for name, leaf in batch.items():
            np.testing.assert_array_equal(leaf, again[name])
        for row in range(4):
            length = batch["mask"][row].sum()
            read_as = tuple(words.words[word] for word in batch["words"][row, :length])
            said = tuple(labels.names[tag] for tag in batch["tags"][row, :length])
            drawn = np.array([SYMBOLS.index(symbol) for symbol in read_as[:10]])
            assert (read_as, said) == copy_of(drawn, BLANKS)[:2]
            seen.add(read_as)
    assert len(seen) == 24
    assert (batches(seed=1)[0][0]["words"] != data[0]["words"]).any()


def test_the_published_baseline():
    assert memoryless(1000) == pytest.approx(10 * np.log(8) / 1020)


@pytest.mark.parametrize("wrong, words", [({"blanks": 0}, "at least 1 blank"), ({"blanks": 600}, "--data.longest 620")])
def test_sizes_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        CopyMemoryConfig(**wrong)


def test_a_small_network_copies_over_few_blanks(tmp_path):
    flags = ["--data.blanks", "4", "--data.sequences", "256", "64", "64", "--model.reader.layers", "2"]
    flags += ["--model.reader.features", "24", "--batch-size", "32", "--steps", "120", "--evaluate-every", "120"]
    flags += ["--optimizer.learning-rate", "0.02", "--optimizer.warmup", "0"]
    said = training("tag", "copy-memory-tcn", "--out", tmp_path / "run", *flags)
    assert said.code == 0, said.err
    row = read(tmp_path / "run" / "metrics.jsonl")[-1]
    assert row["baseline"] == pytest.approx(memoryless(4))
    assert row["loss"] < row["baseline"] / 2
    assert json.loads(seqjax("evaluate", tmp_path / "run", "--json").out)["loss"] == pytest.approx(
        row["loss"], rel=1e-4
    )
    opened = open_existing(str(tmp_path / "run"))
    drawn = build(opened.config, opened.folder).job.batches
    seen = {row.tobytes() for number in range(16) for row in drawn[number]["words"][:, :10]}
    assert len(seen) > 256  # a second epoch is of other sequences
    one = copy_of(np.arange(10) % 8, 4)
    made = seqjax("predict", tmp_path / "run", stdin=" ".join(one.words) + "\n").out.split()
    assert np.mean([made[step] == one.tags[step] for step in range(24)]) > 0.8
    assert_refused(training("tag", "copy-memory", "--out", tmp_path / "other", "--data.blanks", "0"), "blank")
