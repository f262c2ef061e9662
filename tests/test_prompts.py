"""Prompts of many lengths become arrays of few shapes, and lose nothing."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.decoding import bucket, pad_prompts

V = 9


def test_buckets_are_powers_of_two_of_the_smallest():
    assert [bucket(n) for n in (0, 1, 16, 17, 32, 33, 1000)] == [16, 16, 16, 32, 32, 64, 1024]
    assert bucket(7, smallest=3) == 12
    assert len({bucket(n) for n in range(4096)}) == 9
    with pytest.raises(InputError, match="length"):
        bucket(-1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_prompts_hold_every_prompt(side):
    prompts = [[1, 2, 3], [], np.array([4])]
    tokens, mask = pad_prompts(prompts, V, side=side, fill=8, smallest=4)
    assert (tokens.shape, tokens.dtype, mask.dtype) == ((3, 4), np.int32, bool)
    assert [row[real].tolist() for row, real in zip(tokens, mask, strict=True)] == [[1, 2, 3], [], [4]]
    assert (tokens[~mask] == 8).all()
    assert mask[0].tolist() == ([False, True, True, True] if side == "left" else [True, True, True, False])


@pytest.mark.parametrize(
    "prompts, options, said",
    [
        ([], {}, "at least one prompt"),
        ([[1], [2, V]], {}, r"prompts\[1\].*ids in \[0, 9\).*holds 9"),
        ([[-1]], {}, "holds -1"),
        ([[0.5]], {}, "integer"),
        ([[[1, 2]]], {}, r"row of ids \(T,\)"),
    ],
)
def test_prompts_that_are_no_ids_are_refused(prompts, options, said):
    with pytest.raises(InputError, match=said):
        pad_prompts(prompts, V, **options)
