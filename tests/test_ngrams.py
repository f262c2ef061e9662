"""N-grams of symbols: which share a number, and which do not."""

import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops.ngrams import hashed_ngrams

LONGEST, ROWS, T = 4, 2**31 - 1, 9


@pytest.fixture(scope="module")
def numbered():
    """``(ids, mask) ->`` numbers (B, T, LONGEST - 1) in a table so large that no two n-grams share a row."""
    swift = {"xla_backend_optimization_level": 0}
    return jax.jit(hashed_ngrams, static_argnums=(2, 3), compiler_options=swift)


def by_hand(ids: list[int]) -> list[list[tuple[int, ...]]]:
    """The n-grams of every step: nothing is -1."""
    at = dict(enumerate(ids))
    return [
        [tuple(at.get(t - n // 2 + k, -1) for k in range(n)) for n in range(2, LONGEST + 1)] for t in range(len(ids))
    ]  # fmt: skip


def test_the_same_ngram_has_the_same_number_and_another_has_another(numbered):
    random = np.random.default_rng(0)
    ids, mask = random.integers(0, 3, (20, T)), random.random((20, T)) < 0.8  # padding on both sides, and holes
    found = np.asarray(numbered(np.where(mask, ids, 10**6), mask, LONGEST, ROWS))
    numbers, owners = collections.defaultdict(set), collections.defaultdict(set)
    for row, real in zip(range(20), mask, strict=True):
        hand = by_hand(ids[row][real].tolist())
        for grams, codes in zip(hand, found[row][real].tolist(), strict=True):
            for gram, code in zip(grams, codes, strict=True):
                numbers[gram].add(code)
                owners[code].add(gram)
    assert len(numbers) > 100
    assert all(len(codes) == 1 for codes in itertools.chain(numbers.values(), owners.values()))
    assert (found[~mask] == 0).all()


def test_numbers_lie_in_the_table_and_spread_over_it(numbered):
    ids = np.random.default_rng(1).integers(0, 300, (20, T))
    found = np.asarray(numbered(ids, np.ones((20, T), bool), LONGEST, 40))
    assert found.min() >= 0
    assert found.max() < 40
    assert np.bincount(found.ravel(), minlength=40).max() < 3 * found.size / 40
    of_bytes = numbered((255 - ids % 2).astype(np.uint8), np.ones((20, T), bool), LONGEST, 40)
    np.testing.assert_array_equal(of_bytes, numbered(255 - ids % 2, np.ones((20, T), bool), LONGEST, 40))


def test_the_hash_is_that_of_fowler_noll_and_vo_with_which_tables_were_trained(numbered):
    ids = [7, 300, 7, 41_000, 0]
    found = np.asarray(numbered(np.array([ids]), np.ones((1, len(ids)), bool), LONGEST, 20_000))[0]
    for grams, rows in zip(by_hand(ids), found.tolist(), strict=True):
        for gram, row in zip(grams, rows, strict=True):
            code = 2166136261 + len(gram)
            for symbol in gram:
                code = ((code ^ (symbol + 1)) * 16777619) % 2**32
            assert row == (code ^ (code >> 15)) % 20_000


def test_refusals_say_what_to_try():
    with pytest.raises(InputError, match="Try 3 and 20000"):
        hashed_ngrams(jnp.zeros((1, 2), int), jnp.ones((1, 2), bool), 1, 50)
