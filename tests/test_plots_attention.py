"""Pictures of attention, positions and search show the numbers they were given, and their labels can be read."""

import itertools
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from seqjax.checks import InputError
from seqjax.plots import alignment, heads, one_by_one, positional_encodings, search_tree
from seqjax.plots.hypotheses import _spread
from seqjax.plots.labels import drawable, label

RANDOM = np.random.default_rng(0)
UNKNOWN = "\U0010ffff"  # no font has a glyph for it


def weights_of(*shape):
    return RANDOM.dirichlet(np.full(shape[-1], 0.3), shape[:-1])


def texts(labels):
    return [text.get_text() for text in labels]


def extents(drawn, artists):
    renderer = FigureCanvasAgg(drawn).get_renderer()
    return [artist.get_window_extent(renderer) for artist in artists]


def overlap(one, other, slack=1e-6):
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return across > slack and min(one.y1, other.y1) - max(one.y0, other.y0) > slack


def inside(drawn, artists):
    page = drawn.bbox
    return all(page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1) for box in extents(drawn, artists))


def test_an_alignment_holds_the_weights_with_a_token_on_every_row_and_column():
    weights = weights_of(3, 5)
    drawn = alignment(weights, "ab\n", ["the", " cat", "$x$", "3", "ж"], title="layer 1")
    panel, bar = drawn.axes
    assert np.array_equal(panel.images[0].get_array(), weights)
    assert texts(panel.get_yticklabels()) == ["a", "b", "⏎"]
    assert texts(panel.get_xticklabels()) == ["the", "␣cat", "$x$", "3", "ж"]
    assert not any(text.get_parse_math() for text in panel.get_xticklabels())
    assert (panel.get_title("left"), bar.get_ylabel()) == ("layer 1", "probability")
    assert panel.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize(
    "targets, sources",
    [
        ("2022-05-03\n", "terça-feira, 3 de maio de 2022"),
        ("a" * 120, "m " * 60),
        (["<end>"], ["a", "word", "internationalisation of everything"]),
        (["where", "to"], [*"it was 1999", "年", UNKNOWN]),
        ("x", "y"),
    ],
    ids=["a date", "120 characters", "words", "other scripts", "one"],
)
def test_labels_of_an_alignment_neither_meet_nor_leave_the_page(targets, sources):
    drawn = alignment(weights_of(len(targets), len(sources)), targets, sources, title="a title of some length")
    drawn.draw_without_rendering()  # names of axes find their places
    panel, bar = drawn.axes
    for axis in (panel.xaxis, panel.yaxis):
        side = [text for text in axis.get_ticklabels() if text.get_text() != "."]
        assert not any(overlap(*pair) for pair in itertools.pairwise(extents(drawn, side)))
        assert inside(drawn, side)
        assert inside(drawn, [axis.label, panel.title, panel._left_title, bar.yaxis.label])
        assert min(text.get_fontsize() for text in side) >= 7
    wide, high = panel.get_window_extent().size
    assert wide / len(sources) == pytest.approx(high / len(targets))


def test_single_characters_stand_upright_and_words_are_turned():
    turned = alignment(weights_of(1, 3), "a", ["once", "upon", "a"]).axes[0].get_xticklabels()
    upright = alignment(weights_of(1, 4), "a", ["1", "2", "3", UNKNOWN]).axes[0].get_xticklabels()
    assert [text.get_rotation() for text in turned] == [90, 90, 90]
    assert [text.get_rotation() for text in upright] == [0, 0, 0, 90]


def test_a_character_without_a_glyph_is_written_as_its_number_and_nothing_warns(tmp_path):
    assert label(f"a{UNKNOWN}") == "a10FFFF"
    assert label("\r") == "000D"
    assert label("年") in ("年", "5E74")
    assert label("ि") in ("◌ि", "093F")
    assert label("\u0301") == "◌\u0301"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = alignment(weights_of(2, 4), ["年", UNKNOWN], "मई\u200f\u202f", title=f"星期二 {UNKNOWN}")
        drawn.savefig(tmp_path / "alignment.png")
    assert not drawable(UNKNOWN)
    assert (tmp_path / "alignment.png").read_bytes().startswith(b"\x89PNG")


def test_labels_that_would_be_too_small_give_way_to_counted_steps():
    panel = alignment(np.full((2, 400), 1 / 400), "ab", "x" * 400).axes[0]
    assert texts(panel.get_xticklabels())[-1] == "400"
    assert panel.get_window_extent().width < 20 * 150


def test_a_colour_bar_says_that_weights_go_beyond_its_end():
    bars = [alignment(np.eye(2), "ab", "ab", highest=highest).axes[1] for highest in (1.0, 0.5)]
    assert [bar._colorbar.extend for bar in bars] == ["neither", "max"]


def test_there_is_a_panel_for_every_head_on_one_scale():
    weights = {f"layer {layer} head {head}": weights_of(2, 3) for layer in (1, 2) for head in (1, 2, 3)}
    drawn = heads(weights, "ab", "cde", columns=3, sides=("query", "key"), title="six")
    panels = drawn.axes[:-1]
    assert [panel.get_title("left") for panel in panels] == list(weights)
    assert all(np.array_equal(p.images[0].get_array(), w) for p, w in zip(panels, weights.values(), strict=True))
    assert {panel.images[0].get_clim() for panel in panels} == {(0, 1)}
    assert [texts(panel.get_yticklabels()) for panel in panels] == [["a", "b"], [], []] * 2
    assert [texts(panel.get_xticklabels()) for panel in panels] == [[]] * 3 + [["c", "d", "e"]] * 3
    assert [panel.get_xlabel() for panel in panels] == [""] * 3 + ["key"] * 3
    drawn.draw_without_rendering()
    titles = [panel._left_title for panel in panels]
    assert not any(overlap(*pair) for pair in itertools.combinations(extents(drawn, titles), 2))
    assert inside(drawn, [*titles, *drawn.texts])


def test_a_grid_with_a_gap_names_the_columns_above_the_gap():
    panels = heads(weights_of(5, 2, 2), "ab", "cd", columns=3).axes[:-1]
    assert [texts(panel.get_xticklabels()) for panel in panels] == [[], []] + [["c", "d"]] * 3


@pytest.mark.parametrize("count", [1, 2, 7, 16, 32])
def test_a_sheet_of_heads_is_handy(count):
    wide, high = heads(np.full((count, 16, 16), 1 / 16), "a" * 16, "b" * 16).get_size_inches()
    assert max(wide, high) < 24
    assert 0.6 < wide / high < 4


def test_every_head_has_a_figure_of_its_own():
    weights = weights_of(2, 2, 3)
    drawn = one_by_one(weights, "ab", "cde")
    assert list(drawn) == ["head 1", "head 2"]
    for figure, table, name in zip(drawn.values(), weights, drawn, strict=True):
        assert np.array_equal(figure.axes[0].images[0].get_array(), table)
        assert figure.axes[0].get_title("left") == name


def test_encodings_stand_beside_their_dot_products_with_zero_in_the_middle():
    table = RANDOM.normal(size=(7, 4))
    drawn = positional_encodings(table, title="learned")
    encodings, products = (axes.images[0] for axes in drawn.axes[:2])
    assert np.array_equal(encodings.get_array(), table)
    assert np.allclose(products.get_array(), np.einsum("td,sd->ts", table, table))
    assert encodings.get_clim() == pytest.approx((-np.abs(table).max(), np.abs(table).max()))
    assert sum(products.get_clim()) == 0
    assert [axes.get_xlabel() for axes in drawn.axes[:2]] == ["feature", "position"]


def test_a_table_of_zeros_can_be_drawn(tmp_path):
    positional_encodings(np.zeros((1, 1))).savefig(tmp_path / "zeros.png")
    assert (tmp_path / "zeros.png").stat().st_size > 0


def random_search(steps, beam, end=0, size=24, seed=0):
    """A beam search over random distributions, finished hypotheses leaving the beam: the arrays of its tree."""
    random = np.random.default_rng(seed)
    kept, live = [], np.where(np.arange(beam) == 0, 0.0, -np.inf)
    for _ in range(steps):
        logs = np.log(random.dirichlet(np.full(size, 0.2), beam) + 1e-9)
        logs -= np.logaddexp.reduce(logs, axis=-1, keepdims=True)
        totals = (live[:, None] + logs).ravel()
        best = np.argsort(-totals)[:beam]
        ended = (best % size == end) & np.isfinite(totals[best])
        kept.append((best // size, best % size, logs.ravel()[best], totals[best], ended))
        live = np.where(ended, -np.inf, totals[best])
    return [np.array(values) for values in zip(*kept, strict=True)]


def artists(drawn, kind):
    """Boxes or edges of a tree: (step, slot) to what became of it, and the patch."""
    found = {}
    for patch in drawn.axes[0].patches:
        fate, what, step, slot = patch.get_gid().split()
        if what == kind:
            found[int(step), int(slot)] = fate, patch
    return found


TREE = {  # two slots; slot 1 of step 1 ends; step 2 carries it along, and extends slot 0
    "parents": [[0, 0], [0, 0], [0, 1]],
    "tokens": [[1, 2], [1, 0], [2, 0]],
    "log_probabilities": np.log([[0.6, 0.3], [0.5, 0.4], [0.2, 1.0]]),
    "totals": np.log([[0.6, 0.3], [0.3, 0.24], [0.06, 0.24]]),
    "ended": [[False, False], [False, True], [False, True]],
}


def test_a_tree_shows_what_became_of_every_hypothesis():
    drawn = search_tree(**TREE, names=["<end>", "a", " b"], title="small")
    assert {at: fate for at, (fate, _) in artists(drawn, "box").items()} == {
        (0, 0): "best", (0, 1): "dropped", (1, 0): "kept", (1, 1): "best", (2, 0): "kept",
    }  # fmt: skip
    shown = texts(drawn.axes[0].texts)
    assert [shown.count(name) for name in ("a", "␣b", "<end>")] == [2, 2, 1]
    assert {"0.60", "0.30", "0.50", "0.40", "0.20", "−0.51", "−1.43", "−2.81", "small", "step 3"} <= set(shown)
    assert next(text for text in drawn.axes[0].texts if text.get_text() == "<end>").get_weight() == "bold"


def test_the_width_of_an_edge_is_proportional_to_its_probability():
    edges = artists(search_tree(**TREE, names="abc"), "edge")
    widths = {at: edge.get_linewidth() for at, (_, edge) in edges.items()}
    wanted = {(0, 0): 0.6, (0, 1): 0.3, (1, 0): 0.5, (1, 1): 0.4, (2, 0): 0.2}
    assert {at: width / widths[0, 0] * 0.6 for at, width in widths.items()} == pytest.approx(wanted)


def test_scores_choose_the_best_where_they_are_given():
    ended = np.array(TREE["ended"]) | [[False, False], [False, False], [True, False]]
    scores = np.array(TREE["totals"]) / [[1], [2], [6]]
    drawn = search_tree(**TREE | {"ended": ended}, names="abc", scores=scores)
    assert {at for at, (fate, _) in artists(drawn, "box").items() if fate == "best"} == {(0, 0), (1, 0), (2, 0)}
    assert f"score −{-scores[2, 0]:.2f}" in texts(drawn.axes[0].texts)


def test_a_search_that_nothing_ended_has_its_best_at_the_last_step():
    drawn = search_tree(**TREE | {"ended": np.zeros((3, 2), bool)}, names="abc")
    assert {at for at, (fate, _) in artists(drawn, "box").items() if fate == "best"} == {(0, 0), (1, 1), (2, 1)}
    assert "end" not in texts(drawn.axes[0].texts)


def test_empty_slots_are_not_drawn():
    totals = np.array(TREE["totals"])
    totals[0, 1] = -np.inf
    parents, tokens = np.array(TREE["parents"]), np.array(TREE["tokens"])
    parents[0, 1], tokens[0, 1] = -7, 99
    drawn = search_tree(**TREE | {"totals": totals, "parents": parents, "tokens": tokens}, names="abc")
    assert set(artists(drawn, "box")) == {(0, 0), (1, 0), (1, 1), (2, 0)}


@pytest.mark.parametrize("steps, beam, seed", [(12, 8, 0), (12, 8, 1), (7, 3, 2), (1, 1, 3)])
def test_nothing_in_a_tree_overlaps_and_no_edges_cross(steps, beam, seed):
    parents, *rest = random_search(steps, beam, seed=seed)
    names = ["<end>", "年", UNKNOWN, " internationalisation", *"abcdefghijklmnopqrst"]
    drawn = search_tree(parents, *rest, names, scores=rest[2], title="a beam")
    boxes = {at: box.get_window_extent() for at, (_, box) in artists(drawn, "box").items()}
    assert not any(overlap(*pair) for pair in itertools.combinations(boxes.values(), 2))
    written = extents(drawn, drawn.axes[0].texts)
    assert not any(overlap(*pair) for pair in itertools.combinations(written, 2))
    assert inside(drawn, drawn.axes[0].texts)
    free = [text for text in written if not any(box.padded(1).contains(text.x0, text.y0) for box in boxes.values())]
    assert not any(overlap(text, box) for text in free for box in boxes.values())
    for step in range(1, steps):
        downwards = sorted((box.y0, at) for at, box in boxes.items() if at[0] == step)
        above = [boxes[step - 1, parents[at]].y0 for _, at in downwards]
        assert above == sorted(above)


def test_rows_are_spread_to_the_nearest_places_with_room():
    assert _spread([0.0, 0.0, 0.0], 5) == [-1, 0, 1]
    assert _spread([-2.0, 1.0, 1.0], 5) == [-2, 0.5, 1.5]
    assert _spread([2.0, 2.0], 2) == [1, 2]
    wanted = np.sort(RANDOM.uniform(-3, 3, 4))
    found = np.array(_spread(wanted.tolist(), 3.0))
    others = np.sort(RANDOM.uniform(-3, 3, (20_000, 4)), axis=1)
    allowed = others[(np.diff(others, axis=1) >= 1).all(axis=1)]
    assert (np.diff(found) > 1 - 1e-9).all()
    assert ((allowed - wanted) ** 2).sum(axis=1).min() >= ((found - wanted) ** 2).sum()


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: alignment(np.eye(2), "abc", "ab"), r"should be \(T, S\) = \(3, 2\), but it is \(2, 2\)"),
        (lambda: alignment(np.zeros((0, 2)), "", "ab"), "T and S at least 1"),
        (lambda: alignment([[0.5, 3.0]], "a", "bc"), r"position \(0, 1\) holds 3\. Are these scores"),
        (lambda: alignment([[np.nan, 1.0]], "a", "bc"), r"position \(0, 0\) holds nan"),
        (lambda: alignment([[1.0]], "a", "b", highest=0), "alignment: `highest` should be a probability above 0"),
        (lambda: heads({}, "a", "b"), "heads: `weights` should hold at least one head"),
        (lambda: heads(np.ones((1, 1)), "a", "b"), r"heads: `weights` should be \(N, T, S\)"),
        (lambda: heads({"one": np.ones((2, 1))}, "a", "b"), r"`weights\['one'\]` should be \(T, S\)"),
        (lambda: heads(np.ones((1, 1, 1)), "a", "b", columns=0), "`columns` should be at least 1"),
        (lambda: one_by_one([], "a", "b"), "one_by_one: `weights` should"),
        (lambda: positional_encodings(np.ones(3)), r"should be \(T, D\)"),
        (lambda: positional_encodings(np.full((2, 2), np.inf)), "should hold finite numbers"),
        (lambda: search_tree(**TREE, names="ab"), r"`tokens` should hold ids in \[0, 2\)"),
        (lambda: search_tree(**TREE | {"ended": [[True]]}, names="abc"), r"`ended` should be \(steps, k\) = \(3, 2\)"),
        (lambda: search_tree(**TREE | {"parents": [[0, 0], [0, 5], [0, 1]]}, names="abc"), "`parents` should hold ids"),
        (lambda: search_tree(**TREE | {"totals": np.full((3, 2), -np.inf)}, names="abc"), "at least one finite"),
        (lambda: search_tree(**TREE | {"log_probabilities": np.ones((3, 2))}, names="abc"), "at most 0 nats"),
        (
            lambda: search_tree(**TREE | {"totals": [[-np.inf, -1], [-1, -1], [-1, -1]]}, names="abc"),
            "slot 0 of step 1 goes on from slot 0 of step 0, which is empty",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
