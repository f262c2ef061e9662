"""The best tree over the words of a sentence: a maximum spanning arborescence of the scores of its arcs.

T words, numbered from 1; 0 is the root, from which every word is to be reached.
Sources: Chu & Liu (1965), On the shortest arborescence of a directed graph; Edmonds (1967), Optimum branchings;
McDonald, Pereira, Ribarov & Hajič (2005), Non-projective Dependency Parsing using Spanning Tree Algorithms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_shape


def spanning_tree(scores: np.ndarray, *, one_root: bool = True) -> np.ndarray:
    """The heads of the tree with the highest sum of scores. Where every word's best head makes a tree, that is all.

    Args:
        scores: (T, T+1); row t scores the heads of word t + 1: column 0 the root, column h the word h. ``-inf`` forbids
            an arc; a word is never its own head, whatever its score.
        one_root: whether exactly one word may hang on the root, as in Universal Dependencies.

    Returns:
        (T,) int32 in [0, T].

    Raises:
        InputError: scores that are not (T, T+1), NaN or +inf; no tree without a forbidden arc.

    Sources:
        Zmigrod, Vieira & Cotterell (2020), Please Mind the Root, for how often one root has to be asked for. Here every
        arc from the root is made dearer by more than any tree can differ from another, so that one is the fewest.

    Example:
        >>> scores = np.array([[1.0, 0, 9], [2, 8, 0]])     # each word likes the other best
        >>> spanning_tree(scores).tolist()                  # 2 + 9 is more than 1 + 8
        [2, 0]
    """
    found = np.array(scores, np.float64)
    check_shape("spanning_tree", "scores", found, "(T, T+1)", (None, len(found) + 1))
    words = np.arange(len(found))
    found[words, words + 1] = -np.inf
    if np.isnan(found).any() or np.isposinf(found).any():
        raise InputError("spanning_tree: `scores` should be finite, or -inf for an arc that is forbidden.")
    heads = found.argmax(axis=1).tolist() if len(found) else []
    if find_cycle(heads) or not np.isfinite(found[words, heads]).all():
        heads = _best(found, 0.0)
    if one_root and heads.count(0) > 1:
        heads = _best(found, 1.0)
    tree = np.array(heads, np.int32)
    if not np.isfinite(found[words, tree]).all() or (one_root and heads.count(0) > 1):
        raise InputError("spanning_tree: every tree has a forbidden arc. Forbid fewer, or try one_root=False.")
    return tree


def find_cycle(heads: Sequence[int]) -> list[int]:
    """The words of one cycle, each followed by its head; none where every word reaches the root.

    Args:
        heads: T numbers in [0, T].

    Example:
        >>> find_cycle([2, 0, 4, 5, 3]), find_cycle([2, 0])
        ([3, 4, 5], [])
    """
    seen = [0] * (len(heads) + 1)
    seen[0] = -1
    for start in range(1, len(heads) + 1):
        word = start
        while not seen[word]:
            seen[word] = start
            word = heads[word - 1]
        if seen[word] == start:
            cycle = [word]
            while heads[cycle[-1] - 1] != word:
                cycle.append(heads[cycle[-1] - 1])
            return cycle
    return []


class _Contraction(NamedTuple):
    """A cycle that was made one node, its first word.

    Attributes:
        cycle: words.
        inside: their heads in the cycle.
        entered: (T+1,) by node outside: the word of the cycle that would hang on it.
        left: (T+1,) by node outside: the word of the cycle that it would hang on.
    """

    cycle: list[int]
    inside: list[int]
    entered: np.ndarray
    left: np.ndarray


def _best(scores: np.ndarray, penalty: float) -> list[int]:
    """Chu-Liu/Edmonds on finite scores: forbidden arcs are the worst; ``penalty`` 1 takes as few roots as can be."""
    finite = scores[np.isfinite(scores)]
    count = len(scores)
    apart = count * (float(np.ptp(finite)) if finite.size else 0.0) + 1.0  # more than two trees can differ
    nodes = np.full((count + 1, count + 1), -np.inf)  # row: word, column: head
    nodes[1:] = scores
    nodes[1:, 0] -= penalty * apart
    lowest = float(finite.min() if finite.size else 0.0) - (count + 2) * apart * (1 + penalty)
    nodes[1:] = np.where(np.isfinite(nodes[1:]), nodes[1:], lowest)
    nodes[np.arange(count + 1), np.arange(count + 1)] = -np.inf
    gone = np.zeros(count + 1, bool)
    done: list[_Contraction] = []
    while True:
        heads = nodes.argmax(axis=1)
        heads[gone] = 0
        cycle = find_cycle(heads[1:].tolist())
        if not cycle:
            break
        done.append(_contract(nodes, cycle, gone))
    for step in reversed(done):
        _expand(heads, step)
    return heads[1:].tolist()


def _contract(nodes: np.ndarray, cycle: list[int], gone: np.ndarray) -> _Contraction:
    """Make a cycle one node, in place: arcs into it cost the arc of the cycle that they replace."""
    words = np.array(cycle)
    inside = np.roll(words, -1)
    into = nodes[words] - nodes[words, inside][:, None]
    out = nodes[:, words]
    entered, left = into.argmax(axis=0), out.argmax(axis=1)
    first, rest = cycle[0], words[1:]
    nodes[first], nodes[:, first] = into.max(axis=0), out.max(axis=1)
    nodes[words, first] = nodes[first, words] = -np.inf
    nodes[:, rest] = -np.inf
    nodes[rest] = -np.inf
    gone[rest] = True
    return _Contraction(cycle, inside.tolist(), words[entered], words[left])


def _expand(heads: np.ndarray, step: _Contraction) -> None:
    """Open a cycle again, in place: it is broken at the word that hangs on something outside."""
    first = step.cycle[0]
    outside = heads[first]
    hanging = heads == first
    heads[hanging] = step.left[hanging]
    heads[step.cycle] = step.inside
    heads[step.entered[outside]] = outside
