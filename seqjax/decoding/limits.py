"""What a row may and must generate: a least length, no n-gram twice, a prefix.

R rows or hypotheses, B batch, P tokens of a prefix, M tokens at most, V vocabulary.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqjax.checks import InputError, check_count, check_ids, check_mask, check_shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a row may not generate next. Forbidden tokens get no probability; that of the others stays what it is.

    Both numbers speak of generated tokens: a forced prefix counts, the prompt does not. A token that is forced is
    generated even if a limit forbids it. When limits leave a row no token that the model holds possible, the row
    ends there, before its least length if need be; if it has no end, or the model holds the end impossible, the
    limits are dropped for that step.

    Attributes:
        min_length: tokens; the end is forbidden until so many were generated before it.
        no_repeat_ngram: n; a token is forbidden if with the n - 1 generated before it, it would be an n-gram the row
            has generated already (they may overlap). With 1 no token comes twice; 0 is no limit.

    Raises:
        InputError: a number is below 0.

    Source:
        Paulus, Xiong & Socher (2018), A Deep Reinforced Model for Abstractive Summarization, section 2.5, for n-grams.

    Example:
        >>> Limits(min_length=2) == Limits(min_length=2, no_repeat_ngram=0)
        True
    """

    min_length: int = 0
    no_repeat_ngram: int = 0

    def __post_init__(self):
        check_count("Limits", "min_length", self.min_length, least=0, unit="tokens")
        check_count("Limits", "no_repeat_ngram", self.no_repeat_ngram, least=0, advice="Try 3, or 0 for no limit.")


NO_LIMITS = Limits()


class Prefix(NamedTuple):
    """The tokens each row must begin with."""

    tokens: Array  # (B, M) int32
    lengths: Array  # (B,) int32

    def at(self, position: Array) -> tuple[Array, Array]:
        """Whether each row's token at ``position`` is forced, (B,) boolean, and which it is, (B,) int32."""
        tokens = jax.lax.dynamic_index_in_dim(self.tokens, position, axis=1, keepdims=False)
        return position < self.lengths, tokens


def forbid(logits: Array, made: Array | None, count: Array, limits: Limits, end: int | None) -> Array:
    """Give -inf to what may not be generated next.

    Args:
        logits: (R, V) float32.
        made: (R, M) int32, the tokens generated so far, of which the first ``count`` are read; None is enough
            without ``no_repeat_ngram``.
        count: () int32.
        limits: which.
        end: the id that ends a row, or None.

    Returns:
        Logits (R, V); at least one that was finite before still is.

    Example:
        >>> made = jnp.array([[1, 2, 1, 0]])                      # 1, 2, 1: now 2 would make "1 2" a second time
        >>> forbid(jnp.zeros((1, 3)), made, jnp.int32(3), Limits(no_repeat_ngram=2), end=0).tolist()
        [[0.0, 0.0, -inf]]
    """
    allowed = logits
    if limits.no_repeat_ngram and made is not None:
        allowed = _without_repeats(allowed, made, count, limits.no_repeat_ngram)
    if end is not None and limits.min_length:
        is_end = jnp.arange(logits.shape[-1]) == end
        allowed = jnp.where(is_end & (count < limits.min_length), -jnp.inf, allowed)
    if allowed is logits:
        return logits
    nothing = jnp.max(allowed, axis=-1, keepdims=True) == -jnp.inf
    return jnp.where(nothing, _way_out(logits, end), allowed)


def _way_out(logits: Array, end: int | None) -> Array:
    """The end alone where the model holds it possible, else all that it holds possible."""
    if end is None:
        return logits
    is_end = (jnp.arange(logits.shape[-1]) == end)[None]
    return jnp.where(is_end | (logits[:, end : end + 1] == -jnp.inf), logits, -jnp.inf)


def _without_repeats(logits: Array, made: Array, count: Array, n: int) -> Array:
    rows, size = made.shape
    if n > size:
        return logits
    starts = size - n + 1  # of n-grams
    tail = jax.lax.dynamic_slice_in_dim(made, count - (n - 1), n - 1, axis=1)
    again = jnp.broadcast_to(jnp.arange(starts) + n <= count, (rows, starts))
    for place in range(n - 1):
        again &= made[:, place : place + starts] == tail[:, place : place + 1]
    repeats = jnp.where(again, made[:, n - 1 :], logits.shape[-1])
    return logits.at[jnp.arange(rows)[:, None], repeats].set(-jnp.inf, mode="drop")


def check_limits(where: str, max_tokens: int, limits: Limits) -> None:
    """Refuse to make no token at all, and a least length above the most."""
    check_count(where, "max_tokens", max_tokens)
    if limits.min_length > max_tokens:
        raise InputError(
            f"{where}: `limits.min_length` should be at most `max_tokens` = {max_tokens}, "
            f"but it is {limits.min_length}. Raise `max_tokens`."
        )


def read_prefix(where: str, prefix, rows: int, size: int, max_tokens: int) -> Prefix | None:
    """Check ``(tokens, mask)``, both (B, P), and lay it in (B, M), so that no P compiles anything anew.

    Raises:
        InputError: shapes, types or ids do not fit, a mask has a hole or padding to the left, or a row's prefix is
            longer than ``max_tokens``.
    """
    if prefix is None:
        return None
    tokens, mask = prefix
    check_shape(where, "prefix tokens", tokens, "(B, P)", (rows, None), "Try `pad_prompts`.")
    check_mask(where, "prefix mask", mask, "(B, P)", np.shape(tokens))
    if not any(isinstance(array, jax.core.Tracer) for array in (tokens, mask)):
        tokens, mask = np.asarray(tokens), np.asarray(mask)
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise InputError(f"{where}: `prefix` should be padded on the right. Try `pad_prompts(…, side='right')`.")
        if mask.sum(axis=1).max(initial=0) > max_tokens:
            raise InputError(
                f"{where}: `prefix` should force at most `max_tokens` = {max_tokens} tokens a row, "
                f"but a row has {mask.sum(axis=1).max()}. Raise `max_tokens`."
            )
        tokens = np.where(mask, tokens, np.zeros_like(tokens))
        check_ids(where, "prefix tokens", tokens, size)
    return _lay(tokens, mask, max_tokens)


def _lay(tokens, mask, max_tokens: int) -> Prefix:
    library = jnp if isinstance(tokens, Array) or isinstance(mask, Array) else np
    tokens = library.asarray(tokens)
    short = ((0, 0), (0, max(0, max_tokens - tokens.shape[1])))
    laid = library.pad(library.where(mask, tokens, 0), short)[:, :max_tokens]
    return Prefix(jnp.asarray(laid, jnp.int32), jnp.asarray(mask.sum(axis=1), jnp.int32))
