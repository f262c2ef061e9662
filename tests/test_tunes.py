"""Tunes in ABC notation and digits as lines of greys: what `lm` reads beside prose."""

from fractions import Fraction

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DataConfig
from seqjax.data.abc_notation import measure, signature, write_abc
from seqjax.data.abc_reader import read_abc
from seqjax.data.digits import SPLITS, draw_row, load_digits
from seqjax.data.pixels import read_picture, write_picture
from seqjax.data.splits import read_splits
from seqjax.data.tune_grammar import write_tunes

HEAD = "X:1\nM:4/4\nL:1/8\nK:"


def sounds(music: str, key: str = "C"):
    """``(pitch, start, length)`` of every note, times in eighths."""
    (tune,) = read_abc(HEAD + key + "\n" + music)
    return [(note.pitch, note.start * 8, note.length * 8) for note in tune.notes]


def pitches(music: str, key: str = "C"):
    return [pitch for pitch, _, _ in sounds(music, key)]


@pytest.mark.parametrize(
    ("music", "key", "expected"),
    [
        ("C, C c c'", "C", [48, 60, 72, 84]),
        ("F C F,", "D", [66, 61, 54]),  # two sharps, in every octave
        ("B E A", "Gm", [70, 63, 69]),
        ("^F F | F", "C", [66, 66, 65]),  # an accidental lasts for the bar
        ("^F f", "C", [66, 77]),  # and for its octave
        ("=F", "D", [65]),
        ("^^C __B", "C", [62, 69]),
        ("F [K:G] F", "C", [65, 66]),
        ("F C G", "HP", [66, 61, 67]),
        ('"Am"A {cd}B !trill!c .d ~e (fg)', "C", [69, 71, 72, 74, 76, 77, 79]),  # what decorates is passed over
    ],
)
def test_pitches_are_those_of_the_key_and_the_bar(music, key, expected):
    assert pitches(music, key) == expected


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("A A2 A/ A// A3/2 A/4", [1, 2, Fraction(1, 2), Fraction(1, 4), Fraction(3, 2), Fraction(1, 4)]),
        ("A>B A<B", [Fraction(3, 2), Fraction(1, 2), Fraction(1, 2), Fraction(3, 2)]),
        ("A>>B", [Fraction(7, 4), Fraction(1, 4)]),
        ("(3ABc d", [Fraction(2, 3)] * 3 + [1]),
        ("(3:2:2A2B c", [Fraction(4, 3), Fraction(2, 3), 1]),
        ("A2-A B", [3, 1]),  # a tie makes one note
        ("A2-|A2", [4]),
        ("[L:1/16] A2", [1]),
    ],
)  # fmt: skip
def test_lengths_are_those_of_the_standard(music, expected):
    assert [length for _, _, length in sounds(music)] == expected


def test_chords_sound_together_and_rests_take_time():
    assert sounds("[CEG]2 z C x Z C") == [(60, 0, 2), (64, 0, 2), (67, 0, 2), (60, 3, 1), (60, 13, 1)]


def test_a_unit_that_is_not_given_follows_from_the_meter():
    lengths = [read_abc(f"X:1\nM:{meter}\nK:C\nA|")[0].notes[0].length for meter in ("2/4", "6/8", "C|")]
    assert lengths == [Fraction(1, 16), Fraction(1, 8), Fraction(1, 8)]
    assert [measure(meter) for meter in ("C", "9/8", "2+3/8")] == [1, Fraction(9, 8), Fraction(5, 8)]


def test_modes_share_the_signature_of_their_major():
    keys = ["F", "Gdor", "Am", "Ephr", "Bloc", "Clyd", "C#", "Cb", "none"]
    assert [sum(signature(key).values()) for key in keys] == [-1, -1, 0, 0, 0, 1, 7, -7, 0]


def test_a_tune_that_is_written_and_read_again_sounds_the_same():
    tunes = [read_abc(text)[0] for text in write_tunes("valid", 30)]
    tunes += read_abc("X:3\nT:Odd\nM:3/4\nK:Ebm\n|:(3ABc d>e|[^F=f]-[Ff] _B,, =c'':|2 ^^C z3|]")
    for tune in tunes:
        (again,) = read_abc(write_abc(tune))
        assert (again.notes, again.key, again.meter, again.title) == (tune.notes, tune.key, tune.meter, tune.title)


def test_the_grammars_tunes_keep_their_meter_and_end_on_the_keynote():
    for text in write_tunes("train", 40):
        (tune,) = read_abc(text)
        assert tune.whole_bars == 1
        assert len(tune.bars) == 16
        assert tune.skipped == 0
        keynote = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9}[tune.key[0]]
        assert tune.notes[-1].pitch % 12 == keynote


def test_splits_share_no_tune_and_no_picture():
    tunes = [set(part) for part in read_splits(DataConfig(embedded="tunes"))]
    assert not tunes[0] & tunes[1]
    assert not (tunes[0] | tunes[1]) & tunes[2]
    drawn = [{picture.tobytes() for picture in load_digits(split).pictures} for split in SPLITS]
    assert not drawn[0] & drawn[1]
    assert not (drawn[0] | drawn[1]) & drawn[2]
    assert [len(part) for part in read_splits(DataConfig(embedded="pixels"))] == [1258, 270, 269]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no notes"),
        (HEAD + "C\nCD&E|", r"line 5, column 3: '&' is no ABC"),
        (HEAD + "H\nC|", r"line 4: the key should be like"),
        ("X:1\nM:six\nK:C\nC|", r"line 2: the meter should be like"),
        ("X:1\nL:8\nK:C\nC|", r"line 2: the unit of length"),
        (HEAD + "C\n[CE|", r"line 5, column 1"),
    ],
)
def test_what_is_no_tune_is_refused_with_its_place(text, message):
    with pytest.raises(InputError, match=message):
        read_abc(text)


def test_what_a_model_wrote_is_read_as_far_as_it_can_be_and_its_faults_are_counted():
    (tune,) = read_abc(HEAD + "Q\nCD&E|@F", strict=False)
    assert [note.pitch for note in tune.notes] == [60, 62, 64, 65]
    assert tune.skipped == 3
    assert read_abc(write_abc(tune))[0].notes == tune.notes


def test_a_picture_is_its_text_in_five_greys():
    picture = load_digits("test").pictures[0]
    again = read_picture(write_picture(picture))
    np.testing.assert_allclose(again, picture, atol=0.125)
    assert write_picture(again) == write_picture(picture)
    np.testing.assert_array_equal(read_picture(write_picture(picture)[:35])[4:], 0)  # what is missing is paper


@pytest.mark.parametrize(("text", "message"), [("·x", "line 1, column 2: 'x'"), ("·" * 9, "8 lines of 8")])
def test_what_is_no_picture_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_picture(text)


def test_rows_of_digits_keep_their_order_and_their_gaps():
    digits = load_digits("train").pictures[:2]
    row = draw_row(digits, shifts=(1, 2), width=24)
    np.testing.assert_array_equal(row[:, 1:9], digits[0])
    np.testing.assert_array_equal(row[:, 11:19], digits[1])
    assert row[:, [0, 9, 10]].sum() == 0
    for wrong in ({"shifts": (1,)}, {"width": 15}):
        with pytest.raises(InputError):
            draw_row(digits, **wrong)
