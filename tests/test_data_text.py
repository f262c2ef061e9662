"""Files to documents to splits, and what is refused on the way."""

import builtins
import gzip

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DataConfig, read_documents, read_splits
from seqjax.data.splits import split_documents
from seqjax.data.stroke_splits import find_drawings
from seqjax.data.text import embedded_documents, outside_runs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b.txt").write_bytes("zweite ñ\r\nZeile\n".encode())
    (tmp_path / "a.txt").write_text("one\n\n two \nthree\n", newline="")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.txt").write_text("deep")
    return tmp_path


def read(*paths, **options):
    return read_documents([str(path) for path in paths], DataConfig(**options))


def test_a_folder_of_data_that_holds_a_run_is_read_without_it(folder, capsys):
    before, run = read(folder), folder / "below" / "run"
    (folder / "cats.npz").write_bytes(b"\0")
    (run / "checkpoints" / "10").mkdir(parents=True)
    for name in ("config.json", "samples.txt", "drawings.npz", "checkpoints/10/manifest.json"):
        (run / name).write_text("written by training")
    capsys.readouterr()
    assert read(folder) == before
    assert "3 files read, 5 skipped" in capsys.readouterr().err  # the run is one of them
    assert find_drawings([str(folder)]) == [folder / "cats.npz"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {*files} - {*outside_runs(folder, files)} == {path for path in files if run in path.parents}
    assert "written by training" in read(run)  # who names it wants it


def test_a_folder_is_read_in_order_without_hidden_binary_and_empty_files(folder):
    assert read(folder) == ["one\n\n two \nthree\n", "zweite ñ\r\nZeile\n", "deep"]


def test_what_a_folder_skips_is_said(folder, capsys):
    read(folder)
    assert capsys.readouterr().err == (
        f"{folder}: 3 files read, 3 skipped: empty.txt (empty), image.png (binary), .hidden (hidden)\n"
    )
    (folder / "wide.txt").write_text("abc", encoding="utf-16")
    read(folder)
    said = capsys.readouterr().err
    assert "4 skipped: wide.txt (UTF-16, try --data.encoding utf-16), empty.txt (empty), image.png (binary), …" in said
    read(folder / "below")
    assert capsys.readouterr().err == ""


def test_links_to_folders_are_followed_and_never_twice(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "d.txt").write_text("linked")
    (other / "back").symlink_to(folder)
    (folder / "link").symlink_to(other)
    (folder / "again").symlink_to(other)
    (folder / "loop").symlink_to(folder)
    (folder / "al").symlink_to(folder / "below")
    one, two, deep = (read(folder / name)[0] for name in ("a.txt", "b.txt", "below"))
    assert read(folder) == [one, "linked", two, deep]


def test_files_are_read_in_the_order_given_and_kept_to_the_byte(folder):
    assert read(folder / "b.txt", folder / "a.txt") == ["zweite ñ\r\nZeile\n", "one\n\n two \nthree\n"]


def test_paragraphs_and_lines_are_documents_without_the_blank_ones(folder):
    assert read(folder / "a.txt", documents="paragraph") == ["one", " two \nthree\n"]
    assert read(folder / "a.txt", documents="line") == ["one", " two ", "three"]
    assert read(folder / "b.txt", documents="line") == ["zweite ñ", "Zeile"]


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "a.txt").write_text("hé", encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text("hé", encoding="utf-16")
    assert read(tmp_path / "a.txt") == ["hé"]
    assert read(tmp_path / "b.txt", encoding="utf-16") == ["hé"]


def test_latin_1_is_read_when_asked_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    assert read(tmp_path / "a.txt", encoding="latin-1") == ["café"]


def test_the_embedded_text_is_split_80_10_10_and_nothing_is_lost():
    splits = read_splits(DataConfig())
    whole = embedded_documents()
    assert "".join("".join(part) for part in splits) == "".join(whole)
    sizes = np.array([sum(map(len, part)) for part in splits])
    np.testing.assert_allclose(sizes / sizes.sum(), [0.8, 0.1, 0.1], atol=1e-5)
    assert splits.train[0] == whole[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_every_character_and_every_boundary(seed):
    random = np.random.default_rng(seed)
    documents = ["".join(random.choice(list("abc"), size)) for size in random.integers(1, 20, 12)]
    parts = split_documents(documents, [0.5, 0.3, 0.2])
    assert "".join("".join(part) for part in parts) == "".join(documents)
    ends = set(np.cumsum([len(document) for document in documents]))
    cut = set(np.cumsum([len(piece) for part in parts for piece in part]))
    borders = set(np.cumsum([sum(map(len, part)) for part in parts]))
    assert cut == ends | borders


def test_given_files_take_the_place_of_a_split(folder):
    a, b, c = (str(folder / name) for name in ("a.txt", "b.txt", "below/c.txt"))
    splits = read_splits(DataConfig(path=(a,), valid_path=(b,), test_path=(c,)))
    assert splits == (read(a), read(b), read(c))


def test_one_given_file_leaves_the_rest_to_be_split(tmp_path):
    (tmp_path / "train.txt").write_text("x" * 90)
    (tmp_path / "test.txt").write_text("test")
    train, valid, test = read_splits(
        DataConfig(path=(str(tmp_path / "train.txt"),), test_path=(str(tmp_path / "test.txt"),))
    )
    assert (len(train[0]), len(valid[0]), test) == (80, 10, ["test"])


BAD_FILES = {
    "missing": ("trian.txt", None, {}, r"trian.txt does not exist. Did you mean .*train.txt\?"),
    "missing folder": ("no/where.txt", None, {}, "does not exist. Neither does the folder .*no"),
    "below a file": ("train.txt/x", None, {}, "does not exist"),
    "empty": ("bad.txt", b"", {}, "bad.txt is empty"),
    "only blank lines": ("bad.txt", b"\n \n", {"documents": "line"}, "nothing but empty lines"),
    "binary": ("bad.txt", b"abc\0def", {}, "bad.txt is binary: byte 3 is NUL"),
    "gzip": ("bad.gz", gzip.compress(b"abc"), {}, "bad.gz is binary, compressed by gzip. Unpack it first: gunzip"),
    "utf-16": ("bad.txt", "abc".encode("utf-16"), {}, "try --data.encoding utf-16"),
    "latin-1": ("bad.txt", b"ol\xe9!", {}, "is not utf-8: byte 2 is 0xe9 .* Try --data.encoding latin-1"),
    "not ascii": ("bad.txt", b"ol\xe9!", {"encoding": "ascii"}, "is not ascii: byte 2 .* --data.encoding utf-8"),
    "no utf-16": ("bad.txt", b"odd", {"encoding": "utf-16"}, "is not utf-16"),
    "unknown encoding": ("train.txt", None, {"encoding": "utf-9"}, "'utf-9' is unknown. Did you mean `utf-8`"),
    "no text encoding": ("train.txt", None, {"encoding": "base64"}, "'base64' is unknown"),
    "device": ("/dev/null", None, {}, "neither a file nor a folder"),
    "folder without text": ("folder", None, {}, r"holds no text files .*Skipped: image \(binary\)"),
    "impossible name": ("nul\0name", None, {}, "cannot be read"),
}


@pytest.mark.parametrize("name, content, options, message", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_with_one_message(tmp_path, name, content, options, message):
    (tmp_path / "train.txt").write_text("good")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "image").write_bytes(b"\0")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / name, **options)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "secret.txt").write_text("text")
    monkeypatch.setattr(builtins, "open", refuse)
    for path in (tmp_path / "secret.txt", tmp_path):
        with pytest.raises(InputError, match=r"secret.txt cannot be read: Permission denied"):
            read(path)


BAD_CONFIGS = {
    "sum": ({"split": (0.8, 0.1, 0.2)}, "sum to 1"),
    "negative": ({"split": (1.2, -0.1, -0.1)}, "sum to 1"),
    "nan": ({"split": (float("nan"), 0.5, 0.5)}, "sum to 1"),
    "empty split": ({"split": (0.9, 0.1, 0.0)}, "leaves a split empty"),
    "tokenizer": ({"tokenizer": "wrod"}, "Did you mean `word`"),
    "batches": ({"batches": "streams"}, "Did you mean `stream`"),
    "documents": ({"documents": "lines"}, "Did you mean `line`"),
    "length": ({"length": 0}, "`length` should be at least 1"),
    "vocabulary": ({"vocabulary": 1}, "`vocabulary` should be at least 2"),
    "min_count": ({"min_count": 0}, "`min_count` should be at least 1"),
    "no training text": ({"valid_path": ("a.txt",)}, "no training text"),
}


@pytest.mark.parametrize("options, message", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_bad_configurations_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DataConfig(**options)


def test_text_that_leaves_a_split_empty_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("ab")
    with pytest.raises(InputError, match="validation split is empty: the text holds 2 characters"):
        read_splits(DataConfig(path=(str(tmp_path),)))
