"""Pictures and captions: files of every kind, what is broken, splits by picture, and rows of digits."""

import numpy as np
import pytest
from PIL import Image

from seqjax.checks import InputError
from seqjax.data.caption_config import NUMERALS, Caption, CaptionsConfig, DigitRowsConfig
from seqjax.data.captions import caption_batches, read_caption_files, read_captions
from seqjax.data.digit_captions import write_rows
from seqjax.data.digits import load_digits
from seqjax.data.picture_files import PictureError, read_picture, write_picture


def save(path, value, mode="L", size=(8, 4)):
    Image.new(mode, size, value).save(path)
    return path.name


def test_pictures_of_every_mode_become_pixels_of_one_size(tmp_path):
    def read(name, **how):
        return read_picture(tmp_path / name, (2, 4), **how)

    save(tmp_path / "grey.png", 200)
    assert read("grey.png").shape == (2, 4, 1)
    assert (read("grey.png") == 200).all()
    save(tmp_path / "red.png", (255, 0, 0), "RGB")
    assert read("red.png", colour=True)[0, 0].tolist() == [255, 0, 0]
    assert 50 < read("red.png")[0, 0, 0] < 100
    save(tmp_path / "clear.png", (0, 0, 0, 0), "RGBA")
    assert (read("clear.png") == 255).all()  # nothing, on white
    save(tmp_path / "deep.png", 65535, "I;16")
    assert (read("deep.png") == 255).all()
    save(tmp_path / "photo.jpg", (10, 200, 10), "RGB")
    assert np.abs(read("photo.jpg", colour=True)[0, 0].astype(int) - [10, 200, 10]).max() < 6
    sideways = Image.new("L", (2, 4))
    sideways.putpixel((0, 0), 255)
    sideways.save(tmp_path / "turned.jpg", exif=_turned(), quality=100)
    assert read("turned.jpg")[0, 3, 0] > 200  # the corner that was above to the left
    pixels = np.linspace(0, 1, 8).reshape(2, 4, 1)
    write_picture(tmp_path / "own.png", pixels)
    np.testing.assert_array_equal(read("own.png"), np.round(pixels * 255))


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    return exif


def test_a_picture_that_is_none_says_why(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    save(tmp_path / "whole.png", 3, size=(64, 64))
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    for name, why in (("none.png", "does not exist"), ("text.png", "no format"), ("half.png", "is broken")):
        with pytest.raises(PictureError, match=f"{name}.*{why}"):
            read_picture(tmp_path / name, (4, 4))
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path, (4, 4))


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, two captions each."""
    lines = []
    for number in range(10):
        name = save(tmp_path / f"{number}.png", 20 * number)
        lines += [f"{name}\tnumber  {number}\ten", f"{name}\tnúmero {number}\tpt"]
    (tmp_path / "captions.tsv").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return tmp_path


def test_captions_of_one_picture_stay_together(folder):
    config = CaptionsConfig(path=(str(folder),), size=(4, 8), split=(0.6, 0.2, 0.2))
    splits = read_captions(config)
    images = [{caption.image for caption in part.captions} for part in splits[:3]]
    assert [len(part.captions) for part in splits[:3]] == [12, 4, 4]
    assert sum(map(len, images)) == len(set.union(*images)) == 10
    for part in splits[:3]:
        drawn = part.draw(np.arange(len(part.captions)), 0)
        wanted = [20 * int(caption.text.split()[1]) / 255 for caption in part.captions]
        np.testing.assert_allclose(drawn.mean(axis=(1, 2, 3)), wanted, rtol=1e-5)
    same = read_captions(CaptionsConfig(path=(str(folder / "captions.tsv"),), size=(4, 8), split=(0.6, 0.2, 0.2)))
    assert same.test.captions == splits.test.captions


def test_a_text_beside_each_picture_is_its_captions(folder):
    (folder / "captions.tsv").unlink()
    for number in range(10):
        (folder / f"{number}.txt").write_text(f"one\nnumber {number}\n\n")
    read, skipped = read_caption_files([str(folder)], CaptionsConfig(path=("x",)))
    assert [caption.text for caption in read.captions[:3]] == ["one", "number 0", "one"]
    assert (len(read.captions), skipped) == (20, {})
    (folder / "3.txt").unlink()
    with pytest.raises(InputError, match=r"3\.png: there is no caption beside it"):
        read_caption_files([str(folder)], CaptionsConfig(path=("x",)))


@pytest.mark.parametrize(
    "line, words",
    [
        ("7.png number 7", r"line 21: it should be `image TAB caption`.* has no tab"),
        ("7.png\t ", r"line 21: a column is empty"),
        ("none.png\tnumber", r"line 21: the picture .*none\.png does not exist.*--data\.skip-broken"),
        ("bad.png\tnumber", r"line 21: the picture .*bad\.png is broken"),
    ],
)
def test_broken_lines_and_pictures_are_refused_or_counted(folder, line, words):
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    file = folder / "captions.tsv"
    file.write_text(file.read_text(encoding="utf-8").rstrip() + f"\n{line}\ten\n{line}\ten\n".replace("\t \ten", "\t "))
    if "\t" not in line:
        file.write_text(file.read_text().replace(f"{line}\ten", line))
    with pytest.raises(InputError, match=words):
        read_caption_files([str(file)], CaptionsConfig(path=("x",)))
    read, skipped = read_caption_files([str(file)], CaptionsConfig(path=("x",), skip_broken=True))
    assert (len(read.captions), sum(skipped.values())) == (20, 2)


def test_other_data_that_cannot_be_used_is_refused(folder, tmp_path):
    (tmp_path / "some.tsv").write_text("1.png\tone\ten\n2.png\ttwo\n")
    with pytest.raises(InputError, match=r"some captions name their language .*2\.png"):
        read_caption_files([str(tmp_path / "some.tsv")], CaptionsConfig(path=("x",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"neither captions\.tsv nor captions\.txt nor any picture"):
        read_caption_files([str(tmp_path / "empty")], CaptionsConfig(path=("x",)))
    with pytest.raises(InputError, match="validation split is empty"):
        read_captions(CaptionsConfig(path=(str(folder),), split=(0.98, 0.01, 0.01)))
    for wrong, words in (({"size": (9, 32)}, "digits are grey"), ({"colour": True}, "no --data.path")):
        with pytest.raises(InputError, match=words):
            CaptionsConfig(**wrong)
    with pytest.raises(InputError, match="Known: en, es, pt"):
        DigitRowsConfig(languages=("pt", "de"))


def test_rows_of_digits_are_a_function_of_the_seed_the_epoch_and_the_number():
    rows = write_rows(DigitRowsConfig(examples=40, held=8), "train")
    chosen = np.array([3, 1, 17])
    first, other = rows.draw(chosen, 0), rows.draw(chosen, 1)
    np.testing.assert_array_equal(first[1:2], rows.draw(np.array([1]), 0))
    assert (np.abs(first - other).max(axis=(1, 2, 3)) > 0.1).all()
    assert first.min() >= 0
    assert first.max() <= 1
    again = write_rows(DigitRowsConfig(examples=40, held=8), "train")
    assert again.captions == rows.captions
    held = write_rows(DigitRowsConfig(held=8), "test")
    np.testing.assert_array_equal(held.draw(np.arange(8), 0), held.draw(np.arange(8), 5))


def test_test_rows_hold_digits_of_the_test_split_that_the_caption_names():
    rows = write_rows(DigitRowsConfig(held=30), "test")
    digits = load_digits("test")
    for caption, picture in zip(rows.captions, rows.draw(np.arange(30), 0)[..., 0], strict=True):
        found, column = [], 0
        while column <= 24:
            same = (picture[:, column : column + 8] == digits.pictures).all(axis=(1, 2)).nonzero()[0]
            found += [int(digits.labels[same[0]])] if len(same) else []
            column += 8 if len(same) else 1
        assert " ".join(NUMERALS[caption.language][digit] for digit in found) == caption.text


def test_batches_are_pairs_whose_source_is_a_picture():
    rows = write_rows(DigitRowsConfig(held=3), "valid")
    texts = [np.arange(2, 2 + len(caption.text.split())) for caption in rows.captions]
    made = caption_batches(rows, texts, np.array([9, 8, 7]), patches=16, rows=2, train=False)
    assert (len(made), len(made.lengths)) == (2, 1)
    last = made[1]
    assert last["source"].shape == (2, 8, 32, 1)
    assert last["source_mask"].tolist() == [[True] * 16, [False] * 16]
    assert last["source"][1].max() == 0
    n = len(texts[2])
    assert last["inputs"][0, : n + 1].tolist() == [7, *texts[2]]
    assert last["targets"][0, : n + 1].tolist() == [*texts[2], 0]
    assert last["mask"].sum(axis=1).tolist() == [n + 1, 0]
    assert Caption("a", "b").language == ""
