"""GPT: a decoder of attention, or of any mixers, that predicts every next symbol.

B batch, T time, C context, D features, V vocabulary, L layers.
Sources: Radford et al. (2018), Improving Language Understanding by Generative Pre-Training (GPT-1: post-norm); Radford
et al. (2019), Language Models are Unsupervised Multitask Learners (GPT-2: pre-norm, and the initial weights).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice, check_count
from seqjax.layers import (
    MIXERS,
    Block,
    Deep,
    Embedding,
    Group,
    Linear,
    count_positions,
    mixer,
    norm,
    read_before,
    unstacked,
)
from seqjax.models.context import Reader, in_windows, score_in_windows, whole_text
from seqjax.models.next_symbol import NextSymbol
from seqjax.models.pure import of_targets, pure
from seqjax.models.shapes import check_blocks
from seqjax.ops.dropout import dropout, fold
from seqjax.ops.positions import sinusoidal

POSITIONS = ("learned", "sinusoidal", "rotary", "alibi", "none")
STD = 0.02  # of initial weights: GPT-2's


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """The shape of a decoder of blocks, each a mixer and a feed-forward network."""

    features: int = 128  # D, the width of the residual stream; a multiple of heads
    layers: int = 4  # L, blocks on top of each other; a multiple of the number of mixers
    heads: int = 4  # of attention, and of the lambda layer
    kv_heads: int = 0  # heads of keys and values, which heads share in groups; 0: as many as heads
    mixer: tuple[str, ...] = ("attention",)  # of the layers in turn: attention, lambda, tcn, or a recurrence
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    positions: str = "learned"  # learned, sinusoidal, rotary, alibi or none
    norm: str = "layer"  # layer or rms
    place: str = "pre"  # pre: normalise before each mixer and network (GPT-2); post: after (GPT-1)
    activation: str = "gelu-tanh"  # gelu, gelu-tanh, relu or swiglu
    dropout: float = 0.0  # probability of zeroing an activation, or a weight of attention
    tied: bool = True  # score symbols with their own embedding
    remat: bool = False  # compute activations again for the gradient: less memory, more time
    window: int = 0  # tokens that attention looks back; 0: all of the context
    reach: int = 16  # tokens back whose distance a lambda layer tells apart, or that a tcn layer sees at least

    def __post_init__(self):
        check_blocks(self, POSITIONS, layers=1, hidden=0, kv_heads=0, window=0, reach=1)
        for name in self.mixer:
            check_choice("GPTConfig", "mixer", name, MIXERS)
        self._check_mixers()

    def _check_mixers(self):
        count = len(self.mixer)
        if count == 0 or self.layers % count:
            raise InputError(
                f"GPTConfig: `layers` should be a multiple of the {count} mixers that take turns, "
                f"but it is {self.layers}. Try layers={max(1, round(self.layers / max(1, count))) * max(1, count)}."
            )
        if self.positions in ("rotary", "alibi") and "attention" not in self.mixer:
            raise InputError(
                f"GPTConfig: {self.positions} positions live in attention, but the mixers are {', '.join(self.mixer)}. "
                "Try positions='none'."
            )

    @property
    def endless(self) -> bool:
        """Whether there is no end to what it reads: no attention with a context, and no positions to run out of.

        A recurrence sees everything before; a convolution, its last steps.
        """
        return "attention" not in self.mixer and self.positions == "none"


class GPT(nnx.Module):
    """Predict every next symbol from those before it in the context.

    Args:
        config: the shape.
        vocabulary: V.
        context: C, the most tokens it reads at once.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> model = GPT(GPTConfig(features=8, layers=2, heads=2), 5, 16, rngs=nnx.Rngs(0))
        >>> state, logits = model(jnp.array([[0, 1, 2]]))
        >>> logits.shape
        (1, 3, 5)
        >>> state, first = model(jnp.array([[0, 1]]), state=model.start(1), count=jnp.array([0]))
        >>> state, last = model(jnp.array([[2]]), state=state, count=jnp.array([2]))
        >>> bool(jnp.allclose(last, logits[:, 2:], atol=1e-5))
        True
    """

    def __init__(self, config: GPTConfig, vocabulary: int, context: int, *, rngs: nnx.Rngs):
        check_count("GPT", "context", context, unit="token")
        self.config, self.context = config, context
        self.embedding = Embedding(vocabulary, config.features, scale=STD, rngs=rngs)
        learned = config.positions == "learned"
        self.positions = Embedding(context, config.features, scale=STD, rngs=rngs) if learned else None
        self.deep = Deep(
            lambda rngs: period(config, rngs), config.layers // len(config.mixer), remat=config.remat, rngs=rngs
        )  # fmt: skip
        scale = 1 / math.sqrt(2 * config.layers) if config.place == "pre" else 1.0
        initialise(self.deep, residual=STD * scale, rngs=rngs)
        self.norm = norm(config.norm, config.features, rngs) if config.place == "pre" else None
        self.head = None if config.tied else Linear(config.features, vocabulary, rngs=rngs)

    def read(self, ids: Array, *, state=None, count: Array | None = None, mask=None, reset=None, keys=None):
        """Read ids (B, T); return what the layers remember, and what the last says of each, (B, T, D).

        Args:
            ids: symbols in [0, V).
            state: what :meth:`start` or an earlier call returned, to go on from there.
            count: (B,) tokens read before, with ``state``. Default: as many as its caches remember.
            mask: (B, T), True on real symbols.
            reset: (B, T), True on the first symbol of a document.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        if self.positions is not None and mask is None and ids.shape[1] > self.context:
            raise InputError(
                f"GPT: `ids` should be (B, T) of at most C = {self.context} steps, the positions that are learned, but "
                f"T = {ids.shape[1]}. Try positions='rotary', or a larger context."
            )
        ids = ids if mask is None else jnp.where(mask, ids, 0)
        xs = self.embedding(ids)
        if self.config.positions in ("learned", "sinusoidal"):
            before = read_before(state) if count is None else count
            places = count_positions(mask, ids.shape, reset=reset, count=before)
            xs = xs + self.positions(places) if self.positions else xs * xs.shape[-1] ** 0.5 + self._waves(places, xs)
        xs = dropout(xs, self.config.dropout, fold(keys, 0))
        state, ys = self.deep(xs, state=state, mask=mask, reset=reset, keys=fold(keys, 1))
        return state, ys if self.norm is None else self.norm(ys)

    def score(self, ys: Array) -> Array:
        """Unnormalised log-probabilities (*B, V) from features (*B, D)."""
        flat = ys.reshape(-1, ys.shape[-1])  # one product of two matrices, in the gradient too
        scores = self.embedding.attend(flat) if self.head is None else self.head(flat)
        return scores.reshape(*ys.shape[:-1], scores.shape[-1])

    def __call__(self, ids: Array, **how):
        """Map ids (B, T) to ``(state, logits)``, logits (B, T, V). ``how``: what else :meth:`read` takes."""
        state, ys = self.read(ids, **how)
        return state, self.score(ys)

    def start(self, rows: int, slots: int | None = None) -> tuple:
        """What the layers remember before the first symbol; caches have so many slots, or the context's number."""
        return self.deep.start(rows, self.context if slots is None else slots, self.embedding.table[...].dtype)

    def _waves(self, places: Array, xs: Array) -> Array:
        return sinusoidal(places, xs.shape[-1]).astype(xs.dtype)


def period(config: GPTConfig, rngs: nnx.Rngs) -> nnx.Module:
    """One block of each mixer that takes turns; a block alone where there is one."""
    blocks = [
        Block(
            mixer(
                name, config.features, config.heads,
                kv_heads=config.kv_heads or None,
                positions=config.positions if config.positions in ("rotary", "alibi") else "none",
                window=config.window or None,
                reach=config.reach,
                dropout=config.dropout,
                rngs=rngs,
            ),
            config.features,
            config.hidden or 4 * config.features,
            norm=config.norm, place=config.place, activation=config.activation, dropout=config.dropout, rngs=rngs,
        )
        for name in config.mixer
    ]  # fmt: skip
    return blocks[0] if len(blocks) == 1 else Group(blocks)


def initialise(deep: Deep, *, residual: float, rngs: nnx.Rngs) -> None:
    """Draw every projection of the blocks anew, as GPT-2 does: normal, standard deviation 0.02.

    Recurrences keep the initial weights of their cells.

    Args:
        deep: the blocks.
        residual: standard deviation of the projections that lead back to the residual stream.
        rngs: the stream ``params``.
    """
    state = nnx.state(deep.blocks)

    def draw(path, leaf):
        names = [getattr(part, "key", None) for part in path]
        if "kernel" not in names:
            return leaf
        std = residual if names[names.index("kernel") - 1] in ("output", "down") else STD
        return std * jax.random.normal(rngs.params(), leaf.shape, leaf.dtype)

    nnx.update(deep.blocks, jax.tree_util.tree_map_with_path(draw, state))


def gpt(config: GPTConfig, vocabulary: int, context: int) -> NextSymbol:
    """A decoder as pure functions; text beyond the context is read in windows, see :mod:`seqjax.models.context`.

    Batches carry nothing; each row of one is at most C tokens. A model without attention and without positions
    (``config.endless``) has no windows: it reads on without end.

    Args:
        config: its shape.
        vocabulary: V.
        context: C, tokens.

    Raises:
        InputError: a batch is longer than the context.

    Example:
        >>> model = gpt(GPTConfig(features=8, layers=1, heads=2), 5, 4)
        >>> params = model.init(jax.random.key(0))
        >>> model.log_probabilities(params, jnp.zeros((1, 11), int), jnp.ones((1, 10), bool)).shape
        (1, 10)
    """
    init, apply = pure(lambda rngs: GPT(config, vocabulary, context, rngs=rngs))

    def predict(params, batch, carry, keys):
        if batch["inputs"].shape[1] > context and not config.endless:
            raise InputError(
                f"gpt: a batch should be at most C = {context} tokens long, but it is {batch['inputs'].shape[1]}."
            )
        _, logits = apply(params, batch["inputs"], mask=batch["mask"], reset=batch["reset"], keys=keys)
        return None, logits, batch["targets"], batch["scored"]

    def log_probabilities(params, ids, mask):
        def score(inputs, targets, mask):
            return of_targets(apply(params, inputs, mask=mask)[1], targets, mask)

        if mask.shape[1] <= context or config.endless:
            return score(ids[:, :-1], ids[:, 1:], mask)
        return score_in_windows(score, ids, mask, context)

    def read(weights, layers, count, ids, mask):
        return apply(weights, ids, state=layers, count=count, mask=mask, method="read")

    reader = Reader(
        fresh=lambda weights, rows, slots: apply(weights, rows, slots, method="start"),
        read=read,
        score=lambda weights, ys: apply(weights, ys, method="score"),
    )
    decodable = whole_text(reader, prepare) if config.endless else in_windows(reader, context, prepare)
    return NextSymbol(init, lambda rows: None, predict, log_probabilities, decodable)


def prepare(params):
    """Every layer's weights cut from the stack once, not at every step of decoding."""
    return params | {"deep": unstacked(params["deep"])}
