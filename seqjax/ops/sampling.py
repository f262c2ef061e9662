"""From logits to a token: functions on logits that narrow or flatten a distribution, and one draw per row.

Each maps logits (*B, V) to float32 logits (*B, V), with -inf for what is excluded; at least one token always
stays. Among equal logits the lower ids go first. :func:`adjust` applies them in this order: repetition
penalty, temperature, top-k, top-p, min-p; so top-p and min-p see the distribution after temperature.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_count, check_mask
from seqjax.ops.dropout import check_keys
from seqjax.ops.highest import first_highest
from seqjax.precision import signed

LEAST, LARGEST = 1e-37, 1e37  # 32 bits hold them, and their inverses, by which XLA multiplies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is drawn. The defaults draw from the model's own distribution.

    Raises:
        InputError: a number is outside its range.

    Example:
        >>> Sampling(temperature=0.0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: Sampling: `temperature` should be finite, in 32 bits, and above 0, but it is 0.0.
        For the most likely token at every step, try `greedy=True`, or --greedy.
    """

    temperature: float = 1.0  # logits are divided by it: below 1 sharper, above 1 flatter
    top_k: int | None = None  # tokens: only this many, the most likely
    top_p: float | None = None  # probability: the fewest most likely tokens that hold this much
    min_p: float | None = None  # probability relative to that of the most likely token
    repetition_penalty: float = 1.0  # above 1, tokens seen before become less likely
    greedy: bool = False  # take the most likely token; only the repetition penalty still counts

    def __post_init__(self):
        if not 0 < self.temperature <= LARGEST:
            advice = (
                " For the most likely token at every step, try `greedy=True`, or --greedy."
                if self.temperature == 0
                else ""
            )
            _refuse("temperature", "finite, in 32 bits, and above 0", self.temperature, advice)
        if self.top_k is not None:
            check_count("Sampling", "top_k", self.top_k, unit="token", advice="To keep all tokens, leave it out.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            _refuse("top_p", "a probability in (0, 1]", self.top_p, " Try 0.9, or `greedy=True`.")
        if self.min_p is not None and not 0 <= self.min_p < 1:
            _refuse("min_p", "a fraction of the highest probability, in [0, 1)", self.min_p, " Try 0.05.")
        if not LEAST <= self.repetition_penalty <= LARGEST:
            advice = " 1 means none; try 1.2."
            _refuse("repetition_penalty", "finite and above 0, in 32 bits", self.repetition_penalty, advice)


def _refuse(name: str, wanted: str, got, advice: str) -> None:
    raise InputError(f"Sampling: `{name}` should be {wanted}, but it is {got}.{advice}")


def temperature(logits: Array, value: float) -> Array:
    """Divide logits by ``value``, the highest moved to 0 first: a tiny value gives the argmax, not an overflow.

    Source:
        Ackley, Hinton & Sejnowski (1985), A Learning Algorithm for Boltzmann Machines.

    Example:
        >>> temperature(jnp.array([1.0, 3.0, 2.0]), 0.5).tolist()
        [-4.0, 0.0, -2.0]
    """
    logits = logits.astype(jnp.float32)
    highest = logits.max(axis=-1, keepdims=True)
    return jnp.where(logits == highest, 0.0, (logits - highest) / value)


def top_k(logits: Array, count: int) -> Array:
    """Keep the ``count`` highest logits of each row, exactly; all where ``count >= V``.

    Source:
        Fan, Lewis & Dauphin (2018), Hierarchical Neural Story Generation, section 5.4.

    Example:
        >>> top_k(jnp.array([1.0, 3.0, 2.0, 3.0]), 2).tolist()
        [-inf, 3.0, -inf, 3.0]
    """
    logits = logits.astype(jnp.float32)
    if count >= logits.shape[-1]:
        return logits
    highest, ids = jax.lax.top_k(jnp.where(logits == 0, 0.0, logits), count)  # it takes -0.0 to be below 0.0
    return jnp.put_along_axis(jnp.full_like(logits, -jnp.inf), ids, highest, axis=-1, inplace=False)


def top_p(logits: Array, probability: float) -> Array:
    """Keep the fewest most likely tokens of each row that together hold ``probability``; never less than one.

    Source:
        Holtzman et al. (2020), The Curious Case of Neural Text Degeneration, section 3.1.

    Example:
        >>> jnp.isfinite(top_p(jnp.log(jnp.array([0.1, 0.5, 0.4])), 0.8)).tolist()
        [False, True, True]
    """
    logits = logits.astype(jnp.float32)
    if probability >= 1:
        return logits
    ids = jnp.argsort(logits, axis=-1, descending=True, stable=True)
    shares = jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), ids, axis=-1)
    before = jnp.cumsum(shares, axis=-1) - shares
    first = jax.lax.broadcast_to_rank(jnp.arange(logits.shape[-1]) == 0, logits.ndim)
    keep = jnp.put_along_axis(jnp.zeros(logits.shape, bool), ids, first | (before < probability), -1, inplace=False)
    return jnp.where(keep, logits, -jnp.inf)


def min_p(logits: Array, fraction: float) -> Array:
    """Keep the tokens at least ``fraction`` times as likely as the most likely one.

    Source:
        Nguyen et al. (2024), Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs.

    Example:
        >>> jnp.isfinite(min_p(jnp.log(jnp.array([0.6, 0.35, 0.05])), 0.5)).tolist()
        [True, True, False]
    """
    logits = logits.astype(jnp.float32)
    if fraction == 0:
        return logits
    lowest = logits.max(axis=-1, keepdims=True) + math.log(fraction)
    return jnp.where(logits >= lowest, logits, -jnp.inf)


def repetition_penalty(logits: Array, seen: Array, penalty: float) -> Array:
    """Make tokens seen before less likely: positive logits divided by ``penalty``, negative ones multiplied.

    Args:
        logits: (*B, V).
        seen: (*B, V) boolean, see :func:`seen_tokens`.
        penalty: above 1 discourages repetition, below 1 invites it.

    Source:
        Keskar et al. (2019), CTRL, section 4.1; negative logits as common implementations do.

    Example:
        >>> repetition_penalty(jnp.array([2.0, -2.0, 2.0]), jnp.array([True, True, False]), 2.0).tolist()
        [1.0, -4.0, 2.0]
    """
    check_mask("repetition_penalty", "seen", seen, "(*B, V)", logits.shape)
    logits = logits.astype(jnp.float32)
    return jnp.where(seen, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)


def seen_tokens(tokens: Array, mask: Array, size: int) -> Array:
    """Which of ``size`` = V ids stand at real positions of each row: (*B, T) to (*B, V) boolean.

    Example:
        >>> seen_tokens(jnp.array([[1, 2, 0]]), jnp.array([[True, True, False]]), 4).tolist()
        [[False, True, True, False]]
    """
    check_mask("seen_tokens", "mask", mask, "(*B, T)", tokens.shape)

    def mark(tokens, mask):
        return jnp.zeros(size, bool).at[jnp.where(mask, tokens, size)].set(True, mode="drop")

    *batch, steps = tokens.shape
    rows = math.prod(batch)
    marked = jax.vmap(mark)(signed(tokens).reshape(rows, steps), mask.reshape(rows, steps))
    return marked.reshape(*batch, size)


def adjust(logits: Array, sampling: Sampling, seen: Array | None = None) -> Array:
    """The logits that ``sampling`` draws from: (*B, V) to float32 (*B, V).

    Without ``seen`` the repetition penalty has nothing to speak of, and is not applied.
    """
    logits = _penalize(logits, sampling, seen)
    if sampling.greedy:
        return top_k(logits, 1)
    if sampling.temperature != 1:
        logits = temperature(logits, sampling.temperature)
    if sampling.top_k is not None:
        logits = top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = min_p(logits, sampling.min_p)
    return logits


def _penalize(logits: Array, sampling: Sampling, seen: Array | None) -> Array:
    logits = logits.astype(jnp.float32)
    if sampling.repetition_penalty == 1 or seen is None:
        return logits
    return repetition_penalty(logits, seen, sampling.repetition_penalty)


def sample(logits: Array, keys: Array | None, sampling: Sampling, seen: Array | None = None) -> Array:
    """Draw one token per row, each with its own key.

    Args:
        logits: (*B, V).
        keys: (*B,) typed keys; not used, and may be None, when ``sampling.greedy``.
        sampling: how.
        seen: (*B, V) boolean, for the repetition penalty.

    Returns:
        Ids (*B,), int32.

    Raises:
        InputError: ``keys`` or ``seen`` does not fit ``logits``.

    Example:
        >>> logits = jnp.array([[0.0, 9.0, 1.0], [5.0, 0.0, 1.0]])
        >>> sample(logits, None, Sampling(greedy=True)).tolist()
        [1, 0]
    """
    if sampling.greedy:
        return first_highest(_penalize(logits, sampling, seen))
    if keys is None:
        raise InputError("sample: `keys` should be one key per row, but it is None. Without chance, try `greedy=True`.")
    check_keys("sample", keys, logits.shape[:-1])
    logits = adjust(logits, sampling, seen)
    rows = logits.reshape(-1, logits.shape[-1])
    noise = jax.vmap(lambda key: jax.random.gumbel(key, rows.shape[-1:], rows.dtype))(keys.reshape(-1))
    return first_highest(rows + noise).reshape(keys.shape)
