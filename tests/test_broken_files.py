"""Files that are broken in ways their libraries do not expect: one refusal each, never a traceback."""

import struct
import wave

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.digit_strips import read_strip
from seqjax.data.picture_files import PictureError, read_picture
from seqjax.data.series_config import VisitsConfig
from seqjax.data.sound import read_wav
from seqjax.data.stroke_files import read_npz, read_svg
from seqjax.data.time_series import read_series
from seqjax.data.time_series_config import TimeSeriesConfig
from seqjax.data.transcripts import Recording, deal
from seqjax.data.visits import read_histories
from seqjax.ops.mixture_density import LEAST, MOST
from seqjax.tasks.forecast_adding import AdderConfig
from seqjax.tasks.sketch_baseline import fit_mixture


def test_a_wav_whose_chunk_is_longer_than_the_file_is_refused(tmp_path):
    with wave.open(str(tmp_path / "good.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 200)
    good = (tmp_path / "good.wav").read_bytes()
    place = good.index(b"data")
    (tmp_path / "bad.wav").write_bytes(good[:place] + b"LIST" + struct.pack("<I", 5000) + b"abcd" + good[place:])
    with pytest.raises(InputError, match="it ends early"):
        read_wav(tmp_path / "bad.wav")
    with pytest.raises(InputError, match="no such sound file"):
        read_wav("~nobody-of-this-name/a.wav")


def test_a_picture_with_a_broken_note_on_its_camera_is_refused(tmp_path):
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "bad.png", exif=b"II*\0")
    with pytest.raises(PictureError, match=r"bad\.png is broken"):
        read_picture(tmp_path / "bad.png", (8, 8), colour=False)


def test_an_empty_array_is_no_strip(tmp_path):
    (tmp_path / "empty.npy").touch()
    with pytest.raises(InputError, match="is broken"):
        read_strip(tmp_path / "empty.npy")


def test_drawings_that_are_none_are_refused(tmp_path):
    np.savez(tmp_path / "numbers.npz", train=5, valid=5, test=5)
    with pytest.raises(InputError, match=r"should hold drawings \(T, 3\)"):
        read_npz(tmp_path / "numbers.npz")
    np.savez_compressed(tmp_path / "good.npz", train=np.arange(999.0), valid=np.zeros(3), test=np.zeros(3))
    data = bytearray((tmp_path / "good.npz").read_bytes())
    data[100:400] = bytes(range(250, 100, -1)) * 2
    (tmp_path / "bad.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"not readable as \.npz"):
        read_npz(tmp_path / "bad.npz")
    (tmp_path / "bad.svg").write_text('<?xml version="1.0" encoding="nothing"?><svg/>')
    with pytest.raises(InputError, match="not readable as SVG"):
        read_svg(tmp_path / "bad.svg")


def test_a_table_with_a_quote_that_never_ends_is_refused_with_its_line(tmp_path):
    (tmp_path / "visits.csv").write_text('id,time,label\n1,1,"' + "x" * 200_000)
    config = VisitsConfig(path=("visits.csv",), id="id", time="time", label="label")
    with pytest.raises(InputError, match=r"visits\.csv, line 2: this is not CSV"):
        read_histories([str(tmp_path / "visits.csv")], config)


@pytest.mark.parametrize(("field", "value"), [("targets", ("level",)), ("columns", ("level",)), ("time", "day")])
def test_columns_that_a_series_without_a_file_does_not_have_are_refused(field, value):
    with pytest.raises(InputError, match="data: "):
        read_series(TimeSeriesConfig(**{field: value}))


def test_first_weights_of_their_own_go_one_way():
    reader = AdderConfig().reader
    with pytest.raises(InputError, match="one way"):
        AdderConfig(reader=type(reader)(bidirectional=True), input_deviation=0.03)


def test_recordings_of_one_sound_stay_in_one_split():
    found = [Recording(np.zeros(3), str(number), f"line {number}", f"{number % 5}.wav") for number in range(40)]
    parts = [{one.source for one in part} for part in deal(found, (0.6, 0.2, 0.2))]
    assert [len(part) for part in parts] == [3, 1, 1]
    assert len(set.union(*parts)) == 5


def test_the_baselines_mixture_is_as_narrow_as_the_models_and_no_narrower():
    line = np.random.default_rng(0).normal(size=(500, 1))
    (covariance,) = fit_mixture(np.hstack([line, line]), 1).covariances
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(covariance[0, 1] / deviations.prod(), MOST)
    (covariance,) = fit_mixture(np.hstack([line, 0 * line]), 1).covariances
    np.testing.assert_allclose(covariance[1], [0, LEAST**2], atol=1e-12)
