"""Prompts of many lengths in arrays of few shapes, so that nothing compiles twice.

B batch, P prompt time, V vocabulary.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_choice, check_count, check_ids


def bucket(length: int, smallest: int = 16) -> int:
    """The next of ``smallest``, 2·smallest, 4·smallest, … that holds ``length`` steps.

    Example:
        >>> [bucket(n) for n in (0, 16, 17, 100)]
        [16, 16, 32, 128]
    """
    check_count("bucket", "length", length, least=0)
    check_count("bucket", "smallest", smallest)
    size = smallest
    while size < length:
        size *= 2
    return size


def pad_prompts(
    prompts: Sequence[ArrayLike],
    vocabulary: int,
    *,
    side: Literal["left", "right"] = "right",
    fill: int = 0,
    smallest: int = 16,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay prompts of different lengths in one array whose time is a bucket.

    The engine's first ``advance`` reads the last token of each prompt, so what ``start`` reads is usually
    ``prompt[:-1]``, which may be empty.

    Args:
        prompts: B lists or arrays of ids in [0, V), of any lengths.
        vocabulary: V.
        side: where the padding goes. Models with a mask do not mind.
        fill: the id that stands in padding.
        smallest: the smallest bucket, in tokens.

    Returns:
        ``(tokens, mask)``: (B, P) int32, and (B, P) boolean, True on real tokens.

    Raises:
        InputError: there is no prompt, one is not a row of integers, or an id is not in [0, V).

    Example:
        >>> tokens, mask = pad_prompts([[5, 6, 7], [8]], vocabulary=10, side="left", smallest=4)
        >>> tokens.tolist(), mask.sum(axis=1).tolist()
        ([[0, 5, 6, 7], [0, 0, 0, 8]], [3, 1])
    """
    check_choice("pad_prompts", "side", side, ["left", "right"])
    if len(prompts) == 0:
        raise InputError("pad_prompts: `prompts` should hold at least one prompt, but it is empty. Try `[[]]`.")
    rows = [np.asarray(row) if np.size(row) else np.zeros(0, np.int32) for row in prompts]
    for number, row in enumerate(rows):
        if row.ndim != 1:
            raise InputError(f"pad_prompts: `prompts[{number}]` should be a row of ids (T,), but it is {row.shape}.")
        check_ids("pad_prompts", f"prompts[{number}]", row, vocabulary)
    size = bucket(max(len(row) for row in rows), smallest)
    tokens = np.full((len(rows), size), fill, np.int32)
    mask = np.zeros((len(rows), size), bool)
    for number, row in enumerate(rows):
        place = slice(size - len(row), size) if side == "left" else slice(0, len(row))
        tokens[number, place], mask[number, place] = row, True
    return tokens, mask
