"""Labelled texts from files, their split class by class, what is refused; and names in many languages."""

import collections
import itertools
import json
import sys

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import train_tokenizer
from seqjax.data.labelled import encode_texts, read_labelled, read_labelled_files, split_labelled
from seqjax.data.labelled_config import Labelled, LabelledConfig, NamesConfig
from seqjax.data.names import find_names, own_names, write_names

TEN = "".join(f"{'ab'[n % 2]}\ttext {n}\n" for n in range(10))


@pytest.fixture
def write(tmp_path):
    """A file with this text, as a path."""

    def make(text: str, name: str = "texts.tsv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return make


def config(*paths, **changes) -> LabelledConfig:
    return LabelledConfig(path=paths, **changes)


def test_columns_and_json_lines_say_the_same(write):
    columns = write("ja \t foo bar\n1\tbaz\r\nja\tü\n")
    rows = [{"y": "ja", "x": " foo bar"}, {"y": 1, "x": "baz", "z": []}, {"x": "ü", "y": "ja"}]
    lines = write("\n".join(map(json.dumps, rows)), "texts.jsonl")
    found, places, skipped = read_labelled_files([columns], config(columns))
    assert found == [Labelled("ja", "foo bar"), Labelled("1", "baz"), Labelled("ja", "ü")]
    assert [place.line for place in places] == [1, 2, 3]
    fields = config(lines, text_field="x", label_field="y")
    assert read_labelled_files([lines], fields)[0] == found
    turned = write("foo bar\tja\nbaz\t1\nü\tja\n", "turned.tsv")
    assert read_labelled_files([turned, columns], config(swap=True))[0][:3] == found
    assert skipped == 0


def test_a_column_in_quotes_is_what_stands_between_them(write):
    cells = {'"neg"': "neg", "neg": "neg", '"a ""b"" c"': 'a "b" c', '"a", "b"': '"a", "b"', '"': '"', '"x': '"x'}
    path = write("".join(f"{cell}\t{cell}\n" for cell in cells))
    assert read_labelled_files([path], config(path))[0] == [Labelled(cell, cell) for cell in cells.values()]
    with pytest.raises(InputError, match="line 1 has an empty label"):
        read_labelled_files([write('""\ttext\n')], config())


@pytest.mark.parametrize(
    "name, line, words",
    [
        ("t.tsv", "b no tab", "line 2 should be `label TAB text`, but it has no tab: 'b no tab'"),
        ("t.tsv", "a\tb\tc", "line 2 should be .* 3 columns"),
        ("t.tsv", "\ttext", "line 2 has an empty label"),
        ("t.tsv", "a\t ", "line 2 has an empty text"),
        ("t.jsonl", "{", "line 2 should be a JSON object"),
        ("t.jsonl", "[1]", "line 2 should be a JSON object"),
        ("t.jsonl", '{"label": "a", "txt": "b"}', "line 2 has no field 'text' .*Did you mean `txt`"),
        ("t.jsonl", '{"label": 1.5, "text": "b"}', "line 2 should have a word in the field 'label', but it is 1.5"),
    ],
)
def test_a_broken_line_is_refused_by_file_and_line_or_counted(name, line, words, write):
    good = {"t.tsv": "a\tone", "t.jsonl": '{"label": "a", "text": "one"}'}[name]
    path = write(f"{good}\n{line}\n", name)
    with pytest.raises(InputError, match=f"{name}, {words}"):
        read_labelled_files([path], config(path))
    found, _, skipped = read_labelled_files([path], config(path, skip_broken=True))
    assert (found, skipped) == ([Labelled("a", "one")], 1)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("t.csv", "label,text\nneg,bad\n", "line 1 .* no tab: 'label,text'. No line .* has one, though .* commas"),
        ("t.txt", "one\ntwo\n", "line 1 .* no tab: 'one'. No line of the file has one: .* by a tab"),
        ("t.json", '[{"label": "a", "text": "b"}]', "line 1 .* one JSON array: write one object a line"),
        ("t.json", '[\n  {"label": "a", "text": "b"}\n]', "line 1 .* one JSON array: write one object a line"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_told_so_and_not_to_skip_its_lines(name, text, words, write):
    path = write(text, name)
    with pytest.raises(InputError, match=f"{name}, {words}") as refusal:
        read_labelled_files([path], config(path))
    assert "--data.skip-broken" not in str(refusal.value)


def test_every_part_holds_its_share_of_every_class():
    random = np.random.default_rng(0)
    examples = [Labelled(str(label), f"{n} of {label}") for n, label in enumerate(random.zipf(1.6, 3000) % 40)]
    parts = split_labelled(examples, [0.8, 0.1, 0.1])
    assert sorted(itertools.chain(*parts)) == sorted(examples)
    assert [round(len(part) / len(examples), 2) for part in parts] == [0.8, 0.1, 0.1]
    whole, *counts = (collections.Counter(label for label, _ in part) for part in (examples, *parts))
    for label, count in whole.items():
        assert counts[0][label] > 0
        for found, fraction in zip(counts, (0.8, 0.1, 0.1), strict=True):
            assert abs(found[label] - fraction * count) <= 3
    assert parts == split_labelled(examples, [0.8, 0.1, 0.1])


def test_the_same_text_is_in_one_part():
    examples = [Labelled("ab"[n % 2], str(n % 20)) for n in range(200)]
    parts = [{text for _, text in part} for part in split_labelled(examples, [0.5, 0.25, 0.25])]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


def test_a_class_whose_texts_have_another_label_first_is_trained_on_too():
    for seed in range(20):
        examples = [Labelled("a", str(n)) for n in range(30)] + [Labelled("b", "7"), Labelled("b", "8")]
        train, *_ = split_labelled(examples, [0.5, 0.25, 0.25], seed)
        assert {example.label for example in train} == {"a", "b"}


def test_files_of_their_own_stay_whole(write):
    train, test = write(TEN), write("a\tx\nb\ty\n", "test.tsv")
    splits = read_labelled(config(train, test_path=(test,), split=(0.5, 0.25, 0.25)))
    assert splits.test == [Labelled("a", "x"), Labelled("b", "y")]
    assert (len(splits.train), len(splits.valid)) == (7, 3)


def test_what_cannot_be_learnt_is_refused(write):
    train = write(TEN)
    for name in ("test", "valid"):
        other = write("a\tx\nc\ty\n", f"{name}.tsv")
        with pytest.raises(InputError, match=rf"{name}.tsv, line 2: the label 'c' stands in no line"):
            read_labelled(config(train, **{f"{name}_path": (other,)}))
    with pytest.raises(InputError, match=r"class 'z' has one example \(.*rare.tsv, line 11\)"):
        read_labelled(config(write(TEN + "z\talone\n", "rare.tsv")))
    with pytest.raises(InputError, match="all 2 texts have the label 'a'"):
        read_labelled(config(write("a\tx\na\ty\n", "one.tsv")))
    with pytest.raises(InputError, match=r"--data\.swap"):
        read_labelled(config(write("text one\ta\ntext two\tb\ntext three\ta\n", "turned.tsv")))
    with pytest.raises(InputError, match="split is empty"):
        read_labelled(config(write("a\tx\nb\ty\na\tz\nb\tw\n", "few.tsv")))
    for changes in ({"length": -1}, {"tokenizer": "words"}, {"split": (1.0, 0.0, 0.0)}, {"test_path": ("x",)}):
        with pytest.raises(InputError):
            LabelledConfig(**changes)


def test_long_texts_are_refused_or_cut():
    texts = ["Abc", "ABCDE"]
    lowered = config("x", lower=True, length=4, too_long="truncate")
    tokenizer = train_tokenizer(lowered, ["abcde"])
    ids, cut = encode_texts(lowered, tokenizer, texts)
    assert ([tokenizer.decode(row) for row in ids], cut) == (["abc", "abcd"], 1)
    with pytest.raises(InputError, match=r"text 2 has 5 symbols, but at most 4 .*--data\.length 5"):
        encode_texts(config("x", lower=True, length=4), tokenizer, texts)


SMALL = ("pt", "es", "fi", "de")


def test_names_are_those_of_one_language_alone():
    found = list(own_names(SMALL))
    owners = collections.defaultdict(set)
    for _, (language, name) in found:
        owners[name.casefold()].add(language)
    assert all(len(languages) == 1 for languages in owners.values())
    names = {language: {n.casefold() for all_ in find_names(language).values() for n in all_} for language in SMALL}
    for name, (language,) in owners.items():
        assert [other for other in SMALL if name in names[other]] == [language]
    kinds = {kind for (kind, _), _ in found}
    assert kinds == {"territory", "language", "month", "day"}
    assert Labelled("fi", "toukokuuta") in [name for _, name in found]


def test_no_concept_is_in_two_splits():
    concepts = collections.defaultdict(set)
    for concept, name in own_names(SMALL):
        concepts[name].add(concept)
    parts = write_names(NamesConfig(languages=SMALL), (0.8, 0.1, 0.1))
    found = [set().union(*(concepts[name] for name in part if len(concepts[name]) == 1)) for part in parts]
    assert not found[0] & found[1] | found[0] & found[2] | found[1] & found[2]
    assert not set(parts[0]) & set(parts[2])
    assert len(parts[0]) > 6 * len(parts[2]) > 0
    assert parts == write_names(NamesConfig(languages=SMALL), (0.8, 0.1, 0.1))


def test_the_default_languages_are_many_and_most_are_in_latin_letters():
    languages = NamesConfig().languages
    assert len(languages) >= 12
    assert {"pt", "es", "it", "fr"} <= set(languages)


def test_languages_that_do_not_do_are_refused(monkeypatch):
    with pytest.raises(InputError, match=r"data.names: the language 'pq' is unknown"):
        write_names(NamesConfig(languages=("pt", "pq")), (0.8, 0.1, 0.1))
    with pytest.raises(InputError, match="no name of its own in pt"):
        write_names(NamesConfig(languages=("pt", "pt_BR", "fi")), (0.8, 0.1, 0.1))
    with pytest.raises(InputError, match="two languages"):
        NamesConfig(languages=("pt",))
    from seqjax.data.dates import locale_of

    locale_of.cache_clear()
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[data\]'"):
        find_names("pt")
