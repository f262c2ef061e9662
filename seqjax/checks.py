"""Errors that say where, what was wanted, what came, and what to try.

Every refusal in seqjax is an :class:`InputError`. In the library it is a ``ValueError``; on the
command line it is one message on standard error and exit code 2.
"""

import difflib
import operator
from collections.abc import Iterable, Sequence

import numpy as np

MOST = 2**31  # what counts in 32 bits cannot reach


class InputError(ValueError):
    """Something the caller gave is wrong, and nothing was changed because of it.

    Example:
        >>> raise InputError("attention: `mask` should be (B, T), but it is (B,).")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: attention: `mask` should be (B, T), but it is (B,).
    """


def nearest(word: str, choices: Iterable[str]) -> str:
    """A sentence that names the choices, the most similar one first.

    Example:
        >>> nearest("lsmt", ["gru", "lstm"])
        'Did you mean `lstm`? Known: gru, lstm.'
        >>> nearest("gru", ["GRU", "LSTM"])
        'Did you mean `GRU`? Known: GRU, LSTM.'
    """
    known = sorted(choices)
    lower = {choice.lower(): choice for choice in reversed(known)}
    similar = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    question = f"Did you mean `{lower[similar[0]]}`? " if similar else ""
    return f"{question}Known: {', '.join(known)}."


def check_choice(where: str, name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a word that is none of ``choices``, and suggest the nearest."""
    choices = list(choices)
    if value not in choices:
        raise InputError(f"{where}: `{name}` should be a known name, but it is {value!r}. {nearest(value, choices)}")


def check_count(where: str, name: str, value, least: int = 1, unit: str = "", advice: str = "") -> None:
    """Refuse what is no integer, below ``least``, or not below 2^31: JAX counts in 32 bits.

    Args:
        where: the function that speaks.
        name: the argument's name.
        value: what came.
        least: the smallest that is right.
        unit: of what.
        advice: what to try instead.

    Example:
        >>> check_count("beam_search", "beam", 2.5)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: beam_search: `beam` should be an integer, at least 1, but it is 2.5.
    """
    try:
        whole = least <= operator.index(value) < MOST
        kind = "" if operator.index(value) < MOST else "below 2^31 and "
    except TypeError:
        whole, kind = False, "an integer, "
    if not whole:
        wanted = f"{kind}at least {least} {unit}".rstrip()
        raise InputError(f"{where}: `{name}` should be {wanted}, but it is {value!r}. {advice}".rstrip())


def check_widths(where: str, **widths) -> None:
    """Refuse numbers of features, of symbols, of layers that are none.

    Example:
        >>> check_widths("Linear", in_features=3, features=0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: Linear: `features` should be at least 1, but it is 0.
    """
    for name, width in widths.items():
        check_count(where, name, width)


def check_share(where: str, name: str, value, advice: str = "") -> None:
    """Refuse what does not lie in [0, 1): a dropout, a smoothing.

    Example:
        >>> check_share("BertConfig", "dropout", 1.0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: BertConfig: `dropout` should lie in [0, 1), but it is 1.0.
    """
    try:
        right = 0 <= value < 1
    except TypeError:
        right = False
    if not right:
        raise InputError(f"{where}: `{name}` should lie in [0, 1), but it is {value!r}. {advice}".rstrip())


def check_shape(where: str, name: str, array, letters: str, sizes: Sequence[int | None], advice: str = "") -> None:
    """Refuse an array whose shape is not ``sizes``; ``None`` stands for any size.

    Args:
        where: the function that speaks.
        name: the argument's name.
        array: anything with a ``shape``.
        letters: the shape in letters, e.g. ``"(B, T)"``.
        sizes: the wanted sizes, in the same order.
        advice: what to try instead.

    Raises:
        InputError: with letters, wanted sizes and the sizes that came.

    Example:
        >>> check_shape("unroll", "mask", np.ones((2, 4)), "(B, T)", (2, 5))
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: unroll: `mask` should be (B, T) = (2, 5), but it is (2, 4).
    """
    shape = tuple(np.shape(array))
    fits = len(shape) == len(sizes) and all(want in (None, got) for want, got in zip(sizes, shape, strict=True))
    if not fits:
        wanted = "(" + ", ".join("any" if s is None else str(s) for s in sizes) + ("," if len(sizes) == 1 else "") + ")"
        raise InputError(f"{where}: `{name}` should be {letters} = {wanted}, but it is {shape}. {advice}".rstrip())


def check_mask(where: str, name: str, mask, letters: str, sizes: Sequence[int | None]) -> None:
    """Refuse a mask that is not boolean, or not of the wanted shape."""
    check_shape(where, name, mask, letters, sizes)
    if not hasattr(mask, "dtype"):
        raise InputError(
            f"{where}: `{name}` should be a boolean array, but it is {mask!r:.40}. Try `jnp.array({name})`."
        )
    if mask.dtype != np.bool_:
        raise InputError(
            f"{where}: `{name}` should be boolean, True on real steps, but its type is {mask.dtype}. "
            f"Try `{name} > 0` or `{name}.astype(bool)`."
        )


def check_floating(where: str, name: str, array) -> None:
    """Refuse whole numbers where what comes out is of the type that goes in: fractions would be cut off in silence.

    Types that NumPy does not know, such as bfloat16, are floating.

    Example:
        >>> check_floating("log_mel", "samples", np.ones((1, 8), np.int16))
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: log_mel: `samples` should be floating, but its type is int16. Cast it first.
    """
    if getattr(array.dtype, "kind", "V") not in ("f", "V"):
        raise InputError(f"{where}: `{name}` should be floating, but its type is {array.dtype}. Cast it first.")


def check_ids(where: str, name: str, ids, size: int) -> None:
    """Refuse integer ids outside ``[0, size)``. On the host: JAX itself clamps them in silence."""
    ids = np.asarray(ids)
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{where}: `{name}` should be integer ids in [0, {size}), but its type is {ids.dtype}.")
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        bad = ids[(ids < 0) | (ids >= size)].ravel()[0]
        place = tuple(int(i) for i in np.argwhere((ids < 0) | (ids >= size))[0])
        raise InputError(
            f"{where}: `{name}` should hold ids in [0, {size}), but position {place} holds {bad}. "
            f"Was the text encoded with another tokenizer?"
        )


def check_lengths(where: str, lengths, time: int) -> None:
    """Refuse lengths that are negative or longer than the time axis."""
    lengths = np.asarray(lengths)
    if not np.issubdtype(lengths.dtype, np.integer):
        raise InputError(f"{where}: `lengths` should be integers, but their type is {lengths.dtype}.")
    if lengths.size and (lengths.min() < 0 or lengths.max() > time):
        bad = lengths[(lengths < 0) | (lengths > time)].ravel()[0]
        raise InputError(f"{where}: `lengths` should lie in [0, T] = [0, {time}], but one is {bad}.")
