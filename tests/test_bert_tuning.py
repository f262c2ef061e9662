"""Classifiers and taggers that begin with a run of mlm: what is loaded, kept, left as it is, and refused."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import assert_refused, seqjax, story, training
from parameters import drawn

from seqjax.models.bert import BertConfig
from seqjax.models.bert_reading import BertSizes, TextBERT, WordBERT
from seqjax.models.pure import pure
from seqjax.tasks.session import best_of, open_existing
from seqjax.training.journal import read

SWIFT = {"xla_backend_optimization_level": 0}
SMALL = ["--batch-size", "8", "--log-every", "20", "--shown", "0", "--optimizer.warmup", "0"]


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A run of mlm, of two steps."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "story.txt").write_text(story(200))
    said = training(
        "mlm", "--out", folder / "run", "--data.path", folder / "story.txt", "--model.features", 16, "--model.heads", 2,
        "--model.layers", 1, "--data.length", 24, "--data.vocabulary", 80, "--data.buckets", 1, *SMALL,
        "--steps", 2, "--evaluate-every", 2,
    )  # fmt: skip
    assert said.code == 0, said.err
    return folder / "run"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Sentences, and whether they tell of a cat or a queen."""
    path = tmp_path_factory.mktemp("labelled") / "stories.tsv"
    lines = [line for line in story(500, 3).splitlines() if "cat" in line or "queen" in line]
    path.write_text(
        "".join(f"{'animal' if 'cat' in line else 'person'}\t{line}\n" for line in dict.fromkeys(lines)) * 9
    )
    return path


def classify(out, start, data, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "classify", "bert", "--out", out, "--pretrained.run", start, "--data.path", data, *SMALL, "--no-baseline",
        "--data.buckets", 1, "--optimizer.learning-rate", "0.01", "--steps", 40, "--evaluate-every", 40, *words,
    ]  # fmt: skip


def test_a_classifier_begins_with_the_run_and_never_needs_it_again(tmp_path, start, labelled):
    old = Path(shutil.copytree(start, tmp_path / "old"))
    pooled = ["--model.output.pooling", "first", "--model.output.window", 1]
    said = training(*classify(tmp_path / "new", old, labelled, *pooled))
    assert said.code == 0, said.err
    assert "BERT of 1 × 16, at most 24 tokens, trained on" in said.out
    assert read(tmp_path / "new" / "metrics.jsonl")[-1]["accuracy"] == 1
    shutil.rmtree(old)
    made = seqjax("predict", tmp_path / "new", stdin="the cat sat on the mat.\nThe queen sang on the hill.\n")
    assert [line.split("\t")[0] for line in made.out.splitlines()] == ["animal", "person"], made.err
    run = open_existing(tmp_path / "new")
    again = run.task.build(run.config, run.folder).job.init  # as when the command is given again
    jax.eval_shape(lambda key: jax.tree.map(jnp.copy, again(key)), jax.random.key(0))


def test_a_tagger_that_leaves_the_run_as_it_is_changes_no_bit_of_it(tmp_path, start):
    words = [line.rstrip(".").split() for line in story(120, 5).splitlines()]
    tags = {"cat": "B-BEAST", "dog": "B-BEAST", "queen": "B-PERSON", "man": "B-PERSON"}
    text = "\n".join("".join(f"{word} {tags.get(word, 'O')}\n" for word in line) for line in words)
    (tmp_path / "tags.conll").write_text(text)
    said = training(
        "tag", "bert", "--out", tmp_path / "new", "--pretrained.run", start, "--pretrained.no-tuned", *SMALL,
        "--data.path", tmp_path / "tags.conll", "--data.buckets", 1, "--model.no-crf",
        "--steps", 2, "--evaluate-every", 2,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "left as it is" in said.out
    after, before = (best_of(open_existing(run))[0] for run in (tmp_path / "new", start))
    jax.tree.map(np.testing.assert_array_equal, after["encoder"]["bert"]["frozen"], before["bert"])
    made = seqjax("predict", tmp_path / "new", stdin="the old man slept\n")
    assert made.code == 0, made.err


def test_a_start_that_is_none_is_refused(tmp_path, start, labelled):
    out = tmp_path / "new"
    from_nothing = [word for word in classify(out, "", labelled) if word not in ("--pretrained.run", "")]
    assert_refused(training(*from_nothing), "python train.py mlm --data.path FILE --out runs/mlm")
    assert_refused(training(*classify(out, "", labelled)), "--pretrained.run is an empty name")
    assert_refused(training(*classify(out, tmp_path / "nowhere", labelled)), "nowhere")
    long = tmp_path / "long.tsv"
    long.write_text("".join(f"{'ab'[n % 2]}\t{n} " + "the cat sat " * 9 + "\n" for n in range(80)))
    assert_refused(training(*classify(out, start, long)), "but the model takes 22", "--data.too-long truncate")
    assert not out.exists()


SIZES = BertSizes(BertConfig(features=8, layers=1, heads=2, dropout=0.0), 12, 11, 9, 10)


def test_words_are_read_as_the_text_of_their_pieces():
    """With the same parameters, the vector of a word is that of its first piece in the text."""
    init, words = pure(lambda rngs: WordBERT(SIZES, rngs=rngs))
    _, texts = pure(lambda rngs: TextBERT(SIZES, pooled=True, rngs=rngs))
    params = drawn(init)
    pieces = np.array([[[3, 0, 0], [4, 5, 6], [7, 8, 0]], [[2, 0, 0], [6, 6, 0], [10**6, -7, 3]]])
    mask = jnp.array([[True, True, True], [True, True, False]])
    tokens = np.array([[9, 3, 4, 5, 6, 7, 8, 10], [9, 2, 6, 6, 10, -7, 10**6, 0]])
    real = jnp.arange(8) < jnp.array([[8], [5]])
    run = jax.jit(
        lambda params: (
            words(params, {"pieces": jnp.array(pieces), "mask": mask}),
            texts(params, {"tokens": jnp.array(tokens), "mask": real}),
        ),
        compiler_options=SWIFT,
    )
    found, wanted = jax.device_get(run(params))
    np.testing.assert_allclose(found[0], wanted[0, [1, 2, 5]], atol=1e-6)
    np.testing.assert_allclose(found[1, :2], wanted[1, [1, 2]], atol=1e-6)
    assert (found[1, 2] == 0).all()
    assert np.abs(wanted[:, 0]).max() <= 1  # what is pooled, in place of [CLS]
