"""Pairs to ids: tokenizers for both sides, and which pairs are too long or too unlike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.pair_config import Pair, PairsConfig, TooLong
from seqjax.data.tokenizer import Tokenizer
from seqjax.data.vocabulary import train_tokenizer


class EncodedPairs(NamedTuple):
    """The pairs that stay, as text and as ids, and what happened to the others.

    Attributes:
        pairs: as they were read, in order.
        sources: ids (S,) of each, without a boundary.
        targets: ids (T − 1,) of each; the boundary, which makes it T, is added in the batch.
        dropped: how many pairs are gone, by why: ``long``, ``ratio``.
        truncated: how many pairs have a side that was cut.
        unknown: symbols of all sources, and of all targets, that training never saw.
    """

    pairs: list[Pair]
    sources: list[np.ndarray]
    targets: list[np.ndarray]
    dropped: dict[str, int]
    truncated: int
    unknown: tuple[int, int]


def train_pair_tokenizers(config: PairsConfig, pairs: Sequence[Pair]) -> tuple[Tokenizer, Tokenizer]:
    """Learn the symbols of both sides; with ``config.joint`` both are one and the same.

    Args:
        config: its ``tokenizer``, ``vocabulary``, ``min_count`` and ``joint``.
        pairs: the training split and nothing else.

    Raises:
        InputError: what :func:`seqjax.data.train_tokenizer` refuses, and for which side.

    Example:
        >>> source, target = train_pair_tokenizers(PairsConfig(), [Pair("sim", "yes"), Pair("não", "no")])
        >>> source.size, target.decode(target.encode("no"))
        (8, 'no')
    """
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    if config.joint:
        both = train_tokenizer(config, sources + targets)
        return both, both
    return _train_side(config, "sources", sources), _train_side(config, "targets", targets)


def encode_pairs(
    config: PairsConfig, pairs: Sequence[Pair], source: Tokenizer, target: Tokenizer, *, train: bool
) -> EncodedPairs:
    """Turn pairs to ids, and apply ``source_length``, ``target_length``, ``too_long`` and ``ratio``.

    The ratio cleans what is trained on: validation and test pairs are not dropped for it.

    Args:
        config: as above.
        pairs: of one split.
        source: tokenizer of the sources.
        target: tokenizer of the targets.
        train: whether this is the training split.

    Raises:
        InputError: a pair that is too long, where that is to be refused; none left.

    Example:
        >>> pairs = [Pair("sim", "yes"), Pair("não", "no")]
        >>> tokenizers = train_pair_tokenizers(PairsConfig(), pairs)
        >>> config = PairsConfig(target_length=2, too_long="drop")
        >>> encoded = encode_pairs(config, pairs, *tokenizers, train=True)
        >>> encoded.pairs, encoded.dropped
        ([Pair(source='não', target='no')], {'long': 1})
    """
    texts = [pair.source for pair in pairs], [pair.target for pair in pairs]
    sources, targets = source.encode_documents(texts[0]), target.encode_documents(texts[1])
    sources, long_sources = limit(sources, config.source_length, config.too_long, "source", texts[0])
    targets, long_targets = limit(targets, config.target_length, config.too_long, "target", texts[1])
    long = long_sources | long_targets
    sizes = np.array([[len(a), len(b)] for a, b in zip(sources, targets, strict=True)], np.int64).reshape(-1, 2)
    unlike = np.zeros(len(pairs), bool)
    if config.ratio and train:
        unlike = sizes.max(axis=1) > config.ratio * sizes.min(axis=1)
    gone = {"long": long if config.too_long == "drop" else np.zeros(len(pairs), bool), "ratio": unlike}
    kept = np.flatnonzero(~(gone["long"] | gone["ratio"])).tolist()
    gone["ratio"] = gone["ratio"] & ~gone["long"]
    if not kept:
        raise InputError(
            f"data: of {len(pairs)} pairs none is left: "
            f"{', '.join(f'{int(which.sum())} dropped ({name})' for name, which in gone.items())}. "
            f"Try a larger --data.source-length, --data.target-length or --data.ratio."
        )
    sources, targets = [sources[i] for i in kept], [targets[i] for i in kept]
    return EncodedPairs(
        [pairs[i] for i in kept],
        sources,
        targets,
        {name: int(which.sum()) for name, which in gone.items() if which.any()},
        int(long[kept].sum()),
        (_unknown(source, sources), _unknown(target, targets)),
    )


def limit(
    ids: Sequence[np.ndarray], longest: int, rule: TooLong, side: str, texts: Sequence[str]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Cut (``truncate``) or only mark (``drop``) what is too long, or refuse it.

    Args:
        ids: (L,) each.
        longest: symbols; 0: no limit.
        rule: what to do.
        side: source or target.
        texts: what ids stand for, to show.

    Returns:
        ``(ids, long)``: as many as came, and which of them were too long.

    Raises:
        InputError: with ``refuse``: how many are too long, and the first of them.

    Example:
        >>> limit([np.arange(1, 9), np.arange(1, 3)], 4, "truncate", "source", ["abcdefgh", "ab"])
        ([array([1, 2, 3, 4]), array([1, 2])], array([ True, False]))
    """
    sizes = np.array([len(symbols) for symbols in ids], np.int64)
    long = sizes > longest if longest else np.zeros(len(ids), bool)
    if long.any() and rule == "refuse":
        first = int(long.argmax())
        text = texts[first] if len(texts[first]) <= 60 else texts[first][:59] + "…"
        raise InputError(
            f"data: {int(long.sum())} of {len(ids)} {side}s {'are' if long.sum() > 1 else 'is'} too long: "
            f"number {first + 1} has {int(sizes[first])} symbols, and at most {longest} are allowed: "
            f"{text!r}. Try --data.too-long truncate, --data.too-long drop, "
            f"or --data.{side}-length {int(sizes.max())}."
        )
    if long.any() and rule == "truncate":
        return [symbols[:longest] for symbols in ids], long
    return list(ids), long


def _train_side(config: PairsConfig, name: str, texts: list[str]) -> Tokenizer:
    try:
        return train_tokenizer(config, texts)
    except InputError as error:
        raise InputError(f"{error} (These are the {name}.)") from None


def _unknown(tokenizer: Tokenizer, ids: list[np.ndarray]) -> int:
    return 0 if tokenizer.unknown is None else sum(int((symbols == tokenizer.unknown).sum()) for symbols in ids)
