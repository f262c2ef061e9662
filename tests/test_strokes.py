"""Drawings: what is read from files, what is refused, what augmentation keeps, and glyphs that no other split has."""

import itertools
import pickle
import zipfile

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.stroke_augment import augmentation, leave_out
from seqjax.data.stroke_config import AugmentConfig, FontsConfig, StrokesConfig
from seqjax.data.stroke_files import flatten_path, read_npz, read_svg
from seqjax.data.stroke_splits import read_stroke_splits
from seqjax.data.strokes import check_strokes, from_lines, simplify, to_lines

SQUARE = np.array([[4, 0, 0], [0, 4, 0], [-4, 0, 1], [2, -2, 0], [1, 1, 1]], np.float32)


def packed(path, *, layout=object, **arrays):
    """An .npz as QuickDraw's are: arrays of objects."""
    made = {}
    for name, drawings in arrays.items():
        made[name] = np.empty(len(drawings), layout)
        made[name][:] = drawings
    np.savez_compressed(path, **made)
    return path


def test_quickdraw_files_are_read_split_by_split(tmp_path):
    drawings = [SQUARE.astype(np.int16), SQUARE[:2].astype(np.int16)]
    found = read_npz(packed(tmp_path / "cat.npz", train=drawings, valid=drawings[:1], test=drawings[1:]))
    assert [len(found[name]) for name in ("train", "valid", "test")] == [2, 1, 1]
    np.testing.assert_array_equal(found["train"][0], SQUARE)
    assert found["train"][0].dtype == np.float32


class _Program:
    def __reduce__(self):
        return print, ("a program ran",)


def test_a_file_of_drawings_cannot_run_a_program(tmp_path, capsys):
    path = packed(tmp_path / "cat.npz", train=[SQUARE], valid=[SQUARE], test=[SQUARE])
    with zipfile.ZipFile(path) as archive:
        data = archive.read("test.npy")
    head = data[: data.index(b"\n") + 1]
    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
        for name in ("train", "valid", "test"):
            archive.writestr(f"{name}.npy", head + pickle.dumps(_Program()))
    with pytest.raises(InputError, match=r"evil\.npz: the array train .*builtins\.print, which is no array"):
        read_npz(tmp_path / "evil.npz")
    assert "a program ran" not in capsys.readouterr().out


def test_npz_that_are_none_are_refused_by_name(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"broken\.npz: this is not readable as \.npz"):
        read_npz(tmp_path / "broken.npz")
    packed(tmp_path / "half.npz", train=[SQUARE])
    with pytest.raises(InputError, match=r"half\.npz: .* valid, test is missing"):
        read_npz(tmp_path / "half.npz")
    for value, words in ((2, "pen state 2.0"), (np.nan, "finite")):
        wrong = SQUARE.copy()
        wrong[3, 2] = value
        packed(tmp_path / "pen.npz", train=[SQUARE, wrong], valid=[SQUARE], test=[SQUARE])
        with pytest.raises(InputError, match=rf"pen\.npz, train drawing 2: point 4 .*{words}"):
            read_npz(tmp_path / "pen.npz")
    with pytest.raises(InputError, match=r"should be \(T, 3\).*\(5, 5\).*Stroke-5"):
        check_strokes("cat", np.zeros((5, 5)))


def test_svg_paths_become_strokes(tmp_path):
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><title>a</title><g><path d="M0 0 H4 V4 h-4"/>'
        '<path d="m2,2l1 1"/></g></svg>'
    )
    np.testing.assert_array_equal(read_svg(tmp_path / "a.svg"), SQUARE)


def test_curves_are_the_polynomials_they_stand_for():
    (line,) = flatten_path("M0 0 C 0 1 1 1 1 0")
    t = np.linspace(0, 1, len(line))[:, None]
    wanted = 3 * (1 - t) ** 2 * t * [0, 1] + 3 * (1 - t) * t**2 * [1, 1] + t**3 * [1, 0]
    np.testing.assert_allclose(line, wanted, atol=1e-12)
    (line,) = flatten_path("m1-1q1 2 2 0")
    np.testing.assert_allclose(line, [1, -1] + 2 * (1 - t) * t * [1, 2] + t**2 * [2, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<svg><path d='M0 0 A 1 1 0 0 0 2 2'/></svg>", "'A' is not read"),
        ("<svg><path d='M0 0 L 1'/></svg>", "'L' should have 2 numbers"),
        ("<svg><path d='L 1 1'/></svg>", "begin with M"),
        ("<svg><path d='M0 0 # 1'/></svg>", "not readable from"),
        ("<svg><rect width='2'/></svg>", "<rect> is not read"),
        ("<svg><g transform='scale(2)'><path d='M0 0 L1 1'/></g></svg>", "`transform`"),
        ("<svg><path", "not readable as SVG"),
        ("<svg/>", "no line"),
    ],
)
def test_svg_that_is_not_read_is_refused_by_name(content, words, tmp_path):
    (tmp_path / "odd.svg").write_text(content)
    with pytest.raises(InputError, match=words) as refusal:
        read_svg(tmp_path / "odd.svg")
    assert "odd.svg" in str(refusal.value)


def test_folders_of_files_give_classes_and_splits(tmp_path):
    for kind in ("sun", "sea"):
        (tmp_path / kind).mkdir()
        for number in range(20):
            (tmp_path / kind / f"{number}.svg").write_text(f"<svg><path d='M0 0 L{number + 1} 1 L3 3 L2 1'/></svg>")
    packed(tmp_path / "cat.npz", train=[SQUARE, np.tile(SQUARE, (20, 1))], valid=[SQUARE], test=[SQUARE])
    found = read_stroke_splits(StrokesConfig(path=(str(tmp_path),)))
    assert [len(part) for part in found[:3]] == [33, 5, 5]
    assert found.too_long == 1
    assert {one.name for one in found.train} == {"sun", "sea", "cat"}
    with pytest.raises(InputError, match="no such file"):
        read_stroke_splits(StrokesConfig(path=(str(tmp_path / "dog.npz"),)))
    with pytest.raises(InputError, match="split has no drawing of at most 2 points"):
        read_stroke_splits(StrokesConfig(path=(str(tmp_path),), longest=2))


def test_lines_and_strokes_are_the_same_drawing():
    lines = to_lines(SQUARE)
    assert [len(line) for line in lines] == [4, 2]
    np.testing.assert_array_equal(from_lines(lines), SQUARE)
    assert to_lines(SQUARE[:0]) == []


def test_simplified_lines_stay_near():
    angles = np.linspace(0, 2, 200)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    kept = simplify(circle, 0.1)
    assert len(kept) < 8
    np.testing.assert_allclose(simplify(64 * circle, 64 * 0.1), 64 * kept)  # the tolerance is a distance
    fine = np.concatenate([np.linspace(a, b, 50) for a, b in itertools.pairwise(kept)])
    assert max(np.hypot(*(fine - point).T).min() for point in circle) <= 0.12


def test_augmentation_belongs_to_the_example_and_keeps_where_strokes_end():
    change = augmentation(AugmentConfig(drop=0.5), seed=3)
    strokes = np.stack([np.pad(SQUARE, ((0, 3), (0, 0)))] * 3)
    mask = np.arange(8) < np.array([[5], [5], [0]])
    batch = {"strokes": strokes, "mask": mask, "example": np.array([4, 9, -1], np.int32)}
    found, again = change(batch, 2), change({name: leaf[::-1] for name, leaf in batch.items()}, 2)
    for name in ("strokes", "mask"):
        np.testing.assert_array_equal(found[name], again[name][::-1])
    assert not np.array_equal(found["strokes"][0], found["strokes"][1])
    assert not np.array_equal(found["strokes"][0], change(batch, 3)["strokes"][0])  # each epoch draws anew
    assert not found["mask"][2].any()
    random = np.random.default_rng(0)
    for _ in range(20):
        fewer = leave_out(SQUARE, 0.5, random)
        ends = [line[[0, -1]].tolist() for line in to_lines(SQUARE)]
        assert [line[[0, -1]].tolist() for line in to_lines(fewer)] == ends


def test_no_glyph_of_a_held_font_is_drawn_in_training():
    splits = read_stroke_splits(StrokesConfig(fonts=FontsConfig(tolerance=0.0, others=True), longest=200))
    drawn = [{one.strokes.tobytes() for one in part} for part in splits[:3]]
    assert not drawn[0] & drawn[2]
    assert not drawn[0] & drawn[1]
    assert not drawn[1] & drawn[2]
    assert len({one.name for one in splits.test}) == 62
    assert "" not in {one.name for one in (*splits.valid, *splits.test)}


@pytest.mark.parametrize(
    ("fonts", "words"),
    [
        ({"test": ("comic",)}, "`comic` is held out"),
        ({"faces": ("futuram", "timesr"), "valid": ("futuram",), "test": ("timesr",)}, "leave one to train"),
        ({"faces": ("comic", "futuram", "timesr"), "valid": ("futuram",), "test": ("timesr",)}, "comic"),
    ],
)
def test_fonts_that_are_not_there_are_refused(fonts, words):
    with pytest.raises(InputError, match=words):
        read_stroke_splits(StrokesConfig(fonts=FontsConfig(**fonts)))
