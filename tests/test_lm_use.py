"""A language model in use: what a prompt counts for."""

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
