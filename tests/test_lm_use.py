"""A language model in use: what a prompt counts for."""

import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from seqjax.checks import InputError
from seqjax.data import DataConfig, train_tokenizer
from seqjax.decoding import Decodable
from seqjax.layers import Embedding
from seqjax.models import NextSymbol
from seqjax.ops.masks import padding
from seqjax.ops.sampling import Sampling
from seqjax.tasks.lm import reporter
from seqjax.tasks.lm_use import LanguageModel, sample, write


def always(likely: str) -> LanguageModel:
    """A model that finds the same symbols likely after anything: the first the most."""
    tokenizer = train_tokenizer(DataConfig(), [likely])
    logits = jnp.full(tokenizer.size, -9.0)
    for place, symbol in enumerate(tokenizer.encode(likely)):
        logits = logits.at[symbol].set(9.0 - place)
    model = Decodable(lambda params, prompt: ((), ()), lambda params, memory, state, last: (state, params[None]))
    return LanguageModel(NextSymbol(None, None, None, None, model), tokenizer, logits)


@pytest.mark.parametrize("prompt, wanted", [("", "abcd"), ("ab", "cd"), ("dca", "b")])
def test_a_penalty_on_repeating_counts_the_whole_prompt(prompt, wanted):
    model, never = always("abcd"), Sampling(greedy=True, repetition_penalty=1e9)
    assert sample(model, prompt, len(wanted), jax.random.key(0), never) == prompt + wanted
    assert "".join(write(model, prompt, len(wanted), 0, never)) == wanted


def test_ids_that_have_no_vector_are_refused_where_they_are_known():
    table = Embedding(5, 2, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match=r"position \(1,\) holds 99"):
        table(jnp.array([1, 99]))


@pytest.mark.parametrize("lengths", [[9], [-1], [1.5]])
def test_lengths_that_do_not_fit_time_are_refused(lengths):
    with pytest.raises(InputError, match="lengths"):
        padding(jnp.array(lengths), 4)


def test_nats_are_said_a_character_and_a_word_of_their_own_split():
    tokenizer = train_tokenizer(DataConfig(tokenizer="byte"), ["ab"])
    texts = {"valid": ["é b", "ab"], "test": ["abc def"]}
    report = reporter(texts, {name: tokenizer.encode_documents(lines) for name, lines in texts.items()}, tokenizer)
    for split, (symbols, characters, words) in {"valid": (8, 7, 5), "test": (8, 8, 3)}.items():  # with each end
        row = report({"cross_entropy": (9.0, symbols)}, split)
        assert row["perplexity"] == pytest.approx(math.exp(9 / symbols))
        assert row["bits_per_char"] == pytest.approx(9 / characters / math.log(2))
        assert row["word_perplexity"] == pytest.approx(math.exp(9 / words))
