"""Which tokens a masked language model is to predict: drawn afresh from (seed, epoch, example).

B rows, T steps, M masked places, V vocabulary with the special ids.
"""

from collections.abc import Callable

import numpy as np

from seqjax.checks import InputError
from seqjax.data.batches import Batch
from seqjax.data.corpus import NOTHING
from seqjax.data.sentences import Special

SHOWN_AS_MASK, SHOWN_AS_OTHER = 0.8, 0.9  # below the first: [MASK]; below the second: any token; else itself


def masker(
    special: Special, *, share: float = 0.15, seed: int = 0, unknown: int | None = 1, starts: np.ndarray | None = None
) -> Callable[[Batch, int], Batch]:
    """A ``change`` of :func:`seqjax.data.example_batches` that hides tokens, and says which stood there.

    Of each row, a share of the ordinary tokens is chosen, one at least (of whole words none, where each is longer than
    the share). Each is shown as [MASK] with probability 0.8, as a random ordinary token with 0.1, and else as it is.
    Special tokens, the document's boundary and ``<unk>`` are never chosen. To a batch with ``tokens`` (B, T) come:

    - ``places``: (B, M) int32, where the chosen ones stand, M being the share of T;
    - ``targets``: (B, M) int32, what stood there;
    - ``scored``: (B, M), True on real places.

    Args:
        special: the ids of [CLS], [SEP] and [MASK].
        share: of the ordinary tokens, above 0 and below 1.
        seed: of the draws. An example's are those of (seed, epoch, example), whatever batch it is in.
        unknown: the id of ``<unk>``, if there is one.
        starts: (V,) boolean, which ids begin a word: whole words are chosen, in a random order, while they fit into
            the share. None: single tokens.

    Source:
        Devlin et al. (2019), section 3.1 and appendix A.1; whole words: its authors' later release (2019).

    Example:
        >>> hide = masker(Special(20, 21, 22, 23))
        >>> batch = {"tokens": np.array([[20, *range(2, 16), 21]]), "mask": np.ones((1, 16), bool)}
        >>> batch["example"] = np.array([0])
        >>> changed = hide(batch, 0)
        >>> bool((batch["tokens"][0, changed["places"][0]] == changed["targets"][0]).all()), changed["scored"].tolist()
        (True, [[True, True]])
    """
    if not 0 < share < 1:
        raise InputError(f"masker: `share` should lie between 0 and 1, but it is {share}. Try 0.15.")
    ordinary = np.ones(special.vocabulary, bool)
    ordinary[[0, special.cls, special.sep, special.mask]] = False
    if unknown is not None:
        ordinary[unknown] = False
    others = np.flatnonzero(ordinary)

    def change(batch: Batch, epoch: int) -> Batch:
        tokens, mask = batch["tokens"].copy(), batch["mask"]
        rows, time = tokens.shape
        most = max(1, round(share * time))
        made = {
            "places": np.zeros((rows, most), np.int32),
            "targets": np.zeros((rows, most), np.int32),
            "scored": np.zeros((rows, most), bool),
        }
        for row, example in enumerate(batch["example"].tolist()):
            if example == NOTHING:
                continue
            real = np.flatnonzero(mask[row])
            random = np.random.default_rng([seed, epoch, example])
            draws = random.random((3, len(real)))
            chosen = choose(tokens[row, real], ordinary, draws[0], share, starts)[:most]
            places = real[chosen]
            count = len(places)
            made["places"][row, :count], made["scored"][row, :count] = places, True
            made["targets"][row, :count] = tokens[row, places]
            shown, other = draws[1, chosen], others[(draws[2, chosen] * len(others)).astype(int)]
            replaced = np.where(shown < SHOWN_AS_OTHER, other, tokens[row, places])
            tokens[row, places] = np.where(shown < SHOWN_AS_MASK, special.mask, replaced)
        return batch | made | {"tokens": tokens}

    return change


def choose(
    tokens: np.ndarray, ordinary: np.ndarray, draws: np.ndarray, share: float, starts: np.ndarray | None
) -> np.ndarray:
    """Places of the tokens to predict, increasing.

    Args:
        tokens: (T,) ids of one row.
        ordinary: (V,) boolean, which ids may be chosen.
        draws: (T,) in [0, 1), a number for each.
        share: of those that may be chosen.
        starts: (V,) boolean, which ids begin a word; None: each token by itself.

    Example:
        >>> tokens, draws = np.array([5, 6, 7, 8]), np.array([0.9, 0.2, 0.5, 0.1])
        >>> choose(tokens, np.ones(9, bool), draws, 0.5, None).tolist()
        [1, 3]
        >>> choose(tokens, np.ones(9, bool), draws, 0.5, np.arange(9) % 2 == 1).tolist()    # (5, 6) and (7, 8)
        [2, 3]
    """
    able = ordinary[tokens]
    count = max(1, round(share * able.sum())) if able.any() else 0
    if starts is None:
        return np.sort(np.argsort(np.where(able, draws, 2.0), kind="stable")[:count])
    words = np.cumsum(starts[tokens] | ~able)  # each token's word
    words[~able] = -1
    chosen: list[int] = []
    firsts = np.unique(words[able], return_index=True)
    for word in firsts[0][np.argsort(draws[able][firsts[1]], kind="stable")]:
        members = np.flatnonzero(words == word)
        if len(chosen) + len(members) <= count:
            chosen.extend(members.tolist())
    return np.sort(np.array(chosen, int))
