"""Tagged sentences: files that are right, files that are wrong, and dates in sentences."""

import itertools

import pytest

from seqjax.checks import InputError
from seqjax.data.conll import Tagged, read_tagged
from seqjax.data.dates import write_date
from seqjax.data.tag_config import TaggedDatesConfig, TagsConfig
from seqjax.data.tag_schemes import first_illegal, spans
from seqjax.data.tagged import check_tags, encode_tags, list_tags, read_tag_splits
from seqjax.data.tagged_dates import FORMS, SENTENCES, cut_words, tag_date, write_tagged_dates

CONLLU = """# text = Birds sing
1\tBirds\t_\tNOUN\tNNS\t_\t2\tnsubj\t_\t_
1.1\tx\t_\tX\tX\t_\t_\t_\t_\t_
2\tsing\t_\tVERB\tVBP\t_\t0\troot\t_\t_

"""


def read(tmp_path, text: str, **how) -> list[Tagged]:
    """What a file of this text holds."""
    (tmp_path / "file.conll").write_text(text, encoding="utf-8")
    return read_tagged([str(tmp_path / "file.conll")], TagsConfig(**how))


def test_columns_are_tabs_or_spaces_and_blank_lines_end_sentences(tmp_path):
    text = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nsays VBZ O\n \n\n#\tSYM\tO\r\nrue de Lyon\tNNP\tB-LOC"
    first, second = read(tmp_path, text)
    assert first[:2] == (("EU", "says"), ("B-ORG", "O"))
    assert second[:2] == (("#", "rue de Lyon"), ("O", "B-LOC"))
    assert second.at(1) == f"{tmp_path / 'file.conll'}, line 8"
    assert read(tmp_path, text, tag_column=1)[0].tags == ("NNP", "VBZ")
    assert read(tmp_path, text, word_column=2, tag_column=0)[0].words == ("B-ORG", "O")


def test_a_comment_before_a_sentence_of_columns_with_tabs_is_none_of_its_tokens(tmp_path):
    first, second = read(tmp_path, "# id = 1\n# a b\nEU\tB-ORG\n\n# id = 2\n#\tO\n")
    assert (first.words, second.words, second.lines) == (("EU",), ("#",), (6,))
    assert read(tmp_path, "# SYM O\nEU NNP B-ORG\n")[0].words == ("#", "EU")


def test_conllu_gives_any_of_its_columns(tmp_path):
    assert read(tmp_path, CONLLU)[0][:2] == (("Birds", "sing"), ("NOUN", "VERB"))
    assert read(tmp_path, CONLLU, conllu_column="XPOS")[0].tags == ("NNS", "VBP")


def test_characters_are_tokens_too(tmp_path):
    (one,) = read(tmp_path, "AC GT\tOEEOO\n\n", tokens="characters")
    assert one[:2] == (("A", "C", " ", "G", "T"), ("O", "E", "E", "O", "O"))
    assert spans(one.tags, "runs") == [(1, 3, "E")]


WRONG = {
    "a missing column": ("EU\tB-ORG\nsays\n", {}, ["line 2", "2 columns", "'says'"]),
    "no second column at all": ("EU\nsays\n", {}, ["line 1", "a column is missing"]),
    "a column that is not there": ("EU\tB-ORG\n", {"tag_column": 3}, ["line 1", "no column 3", "--data.tag-column"]),
    "an empty token": ("EU\tO\n\tB-ORG\n", {}, ["line 2", "token is missing"]),
    "no blank lines": ("EU\tO\n" * 30, {"longest": 20}, ["line 1", "30 tokens", "blank lines", "--data.longest"]),
    "blank lines only": ("\n\n", {}, ["no sentence"]),
    "tags that are too few": ("ACGT\tOE\n", {"tokens": "characters"}, ["line 1", "4 characters and 2 tags"]),
    "characters without tags": ("ACGT\n", {"tokens": "characters"}, ["line 1", "SEQUENCE TAB TAGS"]),
    "an empty column of CoNLL-U": (CONLLU, {"conllu_column": "FEATS"}, ["line 2", "FEATS is empty"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_files_that_are_wrong_are_refused_by_file_and_line(kind, tmp_path):
    text, how, words = WRONG[kind]
    with pytest.raises(InputError) as refusal:
        read(tmp_path, text, **how)
    assert all(word in str(refusal.value) for word in ["file.conll", *words]), refusal.value


def test_spans_that_nothing_began_are_refused_or_mended(tmp_path):
    text = "\nin\tO\nNew\tI-LOC\nYork\tI-LOC\n"
    with pytest.raises(InputError, match=r"file.conll, line 3: I-LOC goes on .*it follows O.*--data.repair"):
        check_tags(read(tmp_path, text), "bio", mend=False)
    (mended,), count = check_tags(read(tmp_path, text), "bio", mend=True)
    assert (mended.tags, count) == (("O", "B-LOC", "I-LOC"), 1)
    with pytest.raises(InputError, match="line 1: the sentence ends inside a span, with B-LOC"):
        check_tags(read(tmp_path, "York\tB-LOC\n"), "bioes", mend=False)


def test_a_tag_of_the_test_file_alone_is_refused_by_file_and_line(tmp_path):
    labels = list_tags(read(tmp_path, "EU\tB-ORG\nsays\tO\n"))
    assert [ids.tolist() for ids in encode_tags(read(tmp_path, "EU\tB-ORG\n"), labels)] == [[1]]
    with pytest.raises(InputError, match=r"line 2: the tag 'B-LOC' stands nowhere in the training split"):
        encode_tags(read(tmp_path, "EU\tB-ORG\nRome\tB-LOC\n"), labels)


SPANS = "".join(f"w{number}\tB-X\nv\tI-X\nend\tO\n\n" for number in range(20))
SLIPS = {
    "a header": ("token\ttag\n" + SPANS, {}, ["line 1: 'tag' is no tag of BIO", "header line"]),
    "a header and a blank line": ("token\ttag\n\n" + SPANS, {}, ["line 1: 'tag'", "--data.scheme none"]),
    "a small o": (SPANS.replace("end\tO", "end\to"), {}, ["line 3: 'o' is no tag of BIO", "B-X and 67%"]),
    "some words": (SPANS * 3 + "a\tNN\nb\tVB\nc\tCC\n", {}, ["'NN' is no tag of BIO", "98%"]),
    "a header of BIO": ("token\ttag\n" + SPANS, {"scheme": "bio"}, ["line 1: 'tag' is no tag of bio"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SLIPS)
def test_a_slip_in_a_file_of_spans_is_refused_by_file_and_line(kind, tmp_path):
    text, how, words = SLIPS[kind]
    (tmp_path / "spans.conll").write_text(text)
    with pytest.raises(InputError) as refusal:
        read_tag_splits(TagsConfig(path=(str(tmp_path / "spans.conll"),), **how))
    assert all(word in str(refusal.value) for word in ["spans.conll", *words]), refusal.value


def test_tags_that_mark_no_spans_may_look_like_those_that_do(tmp_path):
    (tmp_path / "parts.conll").write_text("".join(f"w{n}\tNOUN\nx\tO\ny\tDET\nz\tCC\n\n" for n in range(20)))
    (tmp_path / "spans.conll").write_text("token\ttag\n\n" + SPANS)
    for name, scheme in (("parts", "auto"), ("spans", "none")):
        splits = read_tag_splits(TagsConfig(path=(str(tmp_path / f"{name}.conll"),), scheme=scheme))
        assert splits.scheme == "none"


def test_a_file_is_split_without_sharing_sentences(tmp_path):
    rows = [f"w{number % 40}\tB-X\nend\tO\n\n" for number in range(80)]
    (tmp_path / "all.conll").write_text("".join(rows))
    splits = read_tag_splits(TagsConfig(path=(str(tmp_path / "all.conll"),)))
    words = [{one.words for one in part} for part in splits[:3]]
    assert [len(part) for part in splits[:3]] == [64, 8, 8]
    assert all(not a & b for a, b in itertools.combinations(words, 2))
    with pytest.raises(InputError, match="the test split is empty"):
        read_tag_splits(TagsConfig(path=(str(tmp_path / "all.conll"),), split=(0.98, 0.0199, 0.0001)))


@pytest.fixture(scope="module")
def dates():
    return write_tagged_dates(TaggedDatesConfig(), (0.8, 0.1, 0.1))


def test_dates_in_sentences_are_valid_bio_of_four_kinds_and_no_day_is_in_two_splits(dates):
    assert [len(part) for part in dates] == [6000, 1000, 1000]
    assert all(first_illegal(one.tags, "bio") is None for part in dates for one in part)
    kinds = {span.kind for one in dates[0] for span in spans(one.tags, "bio")}
    assert kinds == {"DAY", "MONTH", "YEAR", "WEEKDAY"}
    whole = [{words for one in part for words in long_dates(one)} for part in dates]
    assert min(map(len, whole)) > 100
    assert not whole[0] & whole[1] | whole[0] & whole[2] | whole[1] & whole[2]


def long_dates(one: Tagged) -> list[tuple[str, ...]]:
    """Dates with a weekday and a year, as written."""
    starts = [n for n, tag in enumerate(one.tags) if tag == "B-WEEKDAY"]
    ends = [next((n for n in range(start, len(one.tags)) if one.tags[n] == "B-YEAR"), None) for start in starts]
    return [one.words[a : b + 1] for a, b in zip(starts, ends, strict=True) if b is not None]


def test_numbers_outside_of_dates_look_like_those_inside(dates):
    numbers = {tag: {word for one in dates[0] for word, own in zip(one.words, one.tags, strict=True)
                     if own == tag and word.isdigit()} for tag in ("O", "B-DAY", "B-YEAR")}  # fmt: skip
    assert {word for word in numbers["B-DAY"] if not word.startswith("0")} <= numbers["O"]
    assert numbers["B-YEAR"] <= numbers["O"]


@pytest.mark.parametrize("language", SENTENCES)
def test_every_form_has_its_parts_in_every_language(language):
    import datetime

    day = datetime.date(2022, 5, 3)
    for form in FORMS:
        words, tags = tag_date(day, language, form)
        assert {"B-DAY", "B-MONTH"} <= set(tags), form
        assert ("B-YEAR" in tags) == (form not in ("MMMEd", "MMMMd")), form
        assert next(word for word, tag in zip(words, tags, strict=True) if tag == "B-DAY") in ("3", "03")
    assert tag_date(day, language, "full")[0] == cut_words(write_date(day, language, "full"))
    assert all("{few}" in one or "{many}" in one for one in SENTENCES[language])


def test_languages_without_sentences_are_refused():
    with pytest.raises(InputError, match="no sentences in 'ja'"):
        write_tagged_dates(TaggedDatesConfig(languages=("ja",)), (0.8, 0.1, 0.1))
