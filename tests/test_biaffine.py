"""Biaffine scores against float64 NumPy, and spanning trees against every tree there is."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import drawn

from seqjax.checks import InputError
from seqjax.data.spanning_tree import find_cycle, spanning_tree
from seqjax.models.parser import ParserConfig, parser
from seqjax.models.reading import BagReaderConfig
from seqjax.models.word_features import WordFeaturesConfig
from seqjax.ops.biaffine import ArcWeights, LabelWeights, arc_scores, label_scores, take_heads
from seqjax.ops.losses import token_cross_entropy

B, T, D, L = 2, 4, 3, 5
MASK = np.array([[True, True, True, False], [True, False, False, False]])
SWIFT = {"xla_backend_optimization_level": 0}


def weights(random):
    """Of arcs and of labels, float32."""

    def draw(*shape):
        return random.normal(size=shape).astype(np.float32)

    return ArcWeights(draw(D, D), draw(D)), LabelWeights(draw(D, L, D), draw(D, L), draw(D, L), draw(L))


def words(random, fill):
    """Dependents and heads; what stands in padding is ``fill``."""
    dependents, heads = (random.normal(size=(B, T + extra, D)).astype(np.float32) for extra in (0, 1))
    dependents[~MASK] = fill
    heads[:, 1:][~MASK] = fill
    return dependents, heads


def scores_and_gradients(arcs, labels, dependents, heads, chosen):
    mask = jnp.asarray(MASK)

    def loss(arcs, labels, dependents, heads):
        scores = arc_scores(arcs, dependents, heads, mask)
        named = label_scores(labels, dependents, take_heads(heads, chosen, mask), mask)
        total = token_cross_entropy(scores, chosen, mask)[0] + (named**2).sum()
        return total, (scores, named)

    return jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True)(arcs, labels, dependents, heads)


@pytest.fixture(scope="module")
def compute():
    """Scores, labels and gradients, compiled once."""
    return jax.jit(scores_and_gradients, compiler_options=SWIFT)


def test_scores_are_those_of_the_formula(compute):
    random = np.random.default_rng(0)
    (arcs, labels), (dependents, heads) = weights(random), words(random, 0)
    chosen = np.array([[2, 0, 2, 0], [0, 0, 0, 0]])
    (_, (scores, named)), _ = compute(arcs, labels, dependents, heads, chosen)
    a, n = (type(one)(*(leaf.astype(np.float64) for leaf in one)) for one in (arcs, labels))
    for b, t in zip(*np.nonzero(MASK), strict=True):
        d = dependents[b, t].astype(np.float64)
        for s in range(T + 1):
            h = heads[b, s].astype(np.float64)
            allowed = s == 0 or (MASK[b, s - 1] and s != t + 1)
            wanted = d @ a.kernel @ h + h @ a.prior if allowed else -np.inf
            np.testing.assert_allclose(scores[b, t, s], wanted, rtol=1e-5, atol=1e-5)
        h = heads[b, chosen[b, t]].astype(np.float64)
        wanted = [d @ n.kernel[:, i] @ h + d @ n.dependent[:, i] + h @ n.head[:, i] + n.bias[i] for i in range(L)]
        np.testing.assert_allclose(named[b, t], wanted, rtol=1e-5, atol=1e-5)
    assert not np.asarray(scores)[~MASK].any()
    assert not np.asarray(named)[~MASK].any()


@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e6])
def test_padding_reaches_neither_scores_nor_gradients(compute, fill):
    runs = []
    for padding in (0, fill):
        random = np.random.default_rng(1)
        (arcs, labels), (dependents, heads) = weights(random), words(random, padding)
        chosen = np.where(MASK, [[2, 0, 1, 9], [0, 9, 9, 9]], 9 if padding else 0)
        runs.append(compute(arcs, labels, dependents, heads, chosen))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), *runs)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(runs[0][1]))


def test_what_does_not_fit_is_refused():
    arcs, labels = weights(np.random.default_rng(0))
    with pytest.raises(InputError, match=r"`heads` should be \(\*B, T\+1, D\)"):
        arc_scores(arcs, jnp.ones((2, 4, 3)), jnp.ones((2, 4, 3)), jnp.ones((2, 4), bool))
    with pytest.raises(InputError, match="`mask` should be boolean"):
        label_scores(labels, jnp.ones((2, 4, 3)), jnp.ones((2, 4, 3)), jnp.ones((2, 4)))


def trees(size: int) -> list[tuple[int, ...]]:
    """All heads that are a tree, whatever the number of roots."""
    every = itertools.product(range(size + 1), repeat=size)
    return [heads for heads in every if all(h != w for w, h in enumerate(heads, 1)) and not find_cycle(heads)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("one_root", [True, False])
def test_the_spanning_tree_is_the_best_of_all_trees(size, one_root):
    random = np.random.default_rng(size)
    every = np.array([heads for heads in trees(size) if not one_root or heads.count(0) == 1])
    assert len(every) == (size ** (size - 1) if one_root else (size + 1) ** (size - 1))  # Cayley's formula
    for case in range(60):
        scores = random.normal(size=(size, size + 1)) * 3
        if case % 3 == 1:
            scores = np.round(scores)  # with ties
        if case % 3 == 2:
            scores[random.random(scores.shape) < 0.3] = -np.inf
        best = scores[np.arange(size), every].sum(axis=1).max()
        if np.isneginf(best):
            with pytest.raises(InputError, match="every tree has a forbidden arc"):
                spanning_tree(scores, one_root=one_root)
            continue
        found = spanning_tree(scores, one_root=one_root).tolist()
        assert not find_cycle(found)
        assert not one_root or found.count(0) == 1
        np.testing.assert_allclose(scores[np.arange(size), found].sum(), best, rtol=1e-9)


def test_a_long_sentence_of_cycles_becomes_a_tree():
    size = 300
    scores = np.random.default_rng(0).normal(size=(size, size + 1))
    scores[np.arange(size), np.arange(size) ^ 1] += 99  # pairs that like each other best
    found = spanning_tree(scores).tolist()
    assert not find_cycle(found)
    assert found.count(0) == 1


def test_scores_that_are_none_are_refused_and_no_words_are_no_tree():
    assert spanning_tree(np.zeros((0, 1))).tolist() == []
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="should be finite"):
            spanning_tree(np.full((2, 3), bad))
    with pytest.raises(InputError, match=r"should be \(T, T\+1\)"):
        spanning_tree(np.zeros((2, 2)))


def test_a_parser_scores_words_after_a_slope_of_a_tenth_and_the_root_before_them():
    words = WordFeaturesConfig(embedding=4, characters="none")
    how = ParserConfig(words=words, reader=BagReaderConfig(), arc_features=3, label_features=2)
    model = parser(how, 9, 0, 5)
    params = drawn(model.init)
    parsed = jax.device_get(jax.jit(model.read)(params, {"words": jnp.array([[3, 8]]), "mask": jnp.ones((1, 2), bool)}))
    own = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    ys = own["features"]["words"]["table"][[3, 8]]
    rooted = np.concatenate([own["root"][None], ys])

    def side(name, xs):
        found = xs @ own[name]["kernel"] + own[name]["bias"]
        return np.where(found > 0, found, found / 10)

    heads = side("arc_head", rooted)
    wanted = side("arc_dependent", ys) @ own["arcs"]["kernel"] @ heads.T + heads @ own["arcs"]["prior"]
    away = np.eye(2, 3, k=1, dtype=bool)  # no word hangs on itself
    np.testing.assert_allclose(parsed.arcs[0][~away], wanted[~away], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parsed.heads[0], side("label_head", rooted), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parsed.dependents[0], side("label_dependent", ys), rtol=1e-4, atol=1e-5)
