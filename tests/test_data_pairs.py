"""Files of pairs to splits, tokenizers and ids, and what is refused or left out on the way."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import Pair, PairsConfig, encode_pairs, read_pair_files, read_pairs, train_pair_tokenizers
from seqjax.data.pairs import split_pairs

LINES = "olá\thello\nsim \t yes\r\nnão\tno\n"
PAIRS = [Pair("olá", "hello"), Pair("sim", "yes"), Pair("não", "no")]


@pytest.fixture
def write(tmp_path):
    def to(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return to


def many(count, start=0):
    return [Pair(f"source {n}", f"target {n}") for n in range(start, start + count)]


def as_lines(pairs):
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


def test_two_columns_are_read_in_order_without_spaces_around(write):
    assert read_pair_files([write("a.tsv", LINES)], PairsConfig()) == (PAIRS, {})
    assert read_pair_files([write("a.tsv", LINES.rstrip("\n"))], PairsConfig())[0] == PAIRS


def test_aligned_files_are_two_columns(write):
    sources, targets = write("a.pt", "olá\nsim\nnão\n"), write("a.en", "hello\nyes\nno")
    assert read_pair_files([sources], PairsConfig(), [targets])[0] == PAIRS


def test_columns_turn_round(write):
    pairs, _ = read_pair_files([write("a.tsv", LINES)], PairsConfig(swap=True))
    assert pairs[0] == Pair("hello", "olá")


def test_only_line_ends_end_a_line(write):
    assert read_pair_files([write("a.tsv", "a\u2028b\x0bc\td\x85e\nf\tg\n")], PairsConfig())[0] == [
        Pair("a\u2028b\x0bc", "d\x85e"), Pair("f", "g"),
    ]  # fmt: skip


def test_broken_lines_are_skipped_and_counted_when_asked(write):
    path = write("a.tsv", LINES + "no tab\n\na\tb\tc\nx\t \n")
    assert read_pair_files([path], PairsConfig(skip_broken=True)) == (PAIRS, {"broken": 3, "empty": 1})
    aligned = read_pair_files([write("b", "a\n\nc")], PairsConfig(skip_broken=True), [write("c", "A\nB\nC")])
    assert aligned == ([Pair("a", "A"), Pair("c", "C")], {"empty": 1})


NO_TAB = r"pairs.tsv, line 2 should be .source TAB target., but it has no tab: 'olá'. Mend it, .*: --data.skip-broken"
BAD_FILES = {
    "no tab": ("a\tb\nolá\n", {}, NO_TAB),
    "three columns": ("a\tb\tc\n", {}, "line 1 should be .source TAB target., but it has 3 columns"),
    "blank line": ("a\tb\n\nc\td\n", {}, "line 2 should be .* has no tab"),
    "empty source": ("a\tb\n \tb\n", {}, "line 2: one side of the pair is empty.*skip-broken"),
    "empty target": ("a\t\n", {}, "line 1: one side of the pair is empty"),
    "bytes": (b"ol\xe9\thello\n", {}, "is not utf-8: byte 2 is 0xe9.*--data.encoding latin-1"),
    "encoding": ("a\tb\n", {"encoding": "utf-9"}, "Did you mean `utf-8`"),
    "empty file": ("", {}, "is empty"),
    "nothing left": ("a\nb\n", {"skip_broken": True}, "holds no pairs, only 2 other lines"),
}


@pytest.mark.parametrize("text, options, message", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_with_file_and_line(write, text, options, message):
    with pytest.raises(InputError, match=message) as caught:
        read_pair_files([write("pairs.tsv", text)], PairsConfig(**options))
    assert "\n" not in str(caught.value)


def test_aligned_files_of_different_length_are_refused_with_both(write):
    sources, targets = write("a.pt", "a\nb\nc\n"), write("a.en", "A\nB\n")
    for options in ({}, {"skip_broken": True}):
        with pytest.raises(InputError, match=r"a.pt has 3 and .*a.en has 2"):
            read_pair_files([sources], PairsConfig(**options), [targets])


def test_two_columns_beside_a_file_of_targets_are_refused(write):
    with pytest.raises(InputError, match=r"every line of .*both columns"):
        read_pair_files([write("b", "a\tA\nb\tB")], PairsConfig(), [write("c", "A\nB")])


def test_an_empty_side_of_aligned_files_is_named_where_it_is(write):
    with pytest.raises(InputError, match=r"a.en, line 2: one side"):
        read_pair_files([write("a.pt", "a\nb\n")], PairsConfig(), [write("a.en", "A\n\n")])
    with pytest.raises(InputError, match=r"a.pt, line 2: one side"):
        read_pair_files([write("a.pt", "a\n\n")], PairsConfig(), [write("a.en", "A\nB\n")])


def test_a_split_loses_no_pair_and_knows_no_test_source(write):
    pairs = [*many(200), *(Pair(f"source {n}", "another") for n in range(0, 200, 3))]
    parts = split_pairs(pairs, [0.8, 0.1, 0.1])
    assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    sources = [{pair.source for pair in part} for part in parts]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    np.testing.assert_allclose([len(part) / len(pairs) for part in parts], [0.8, 0.1, 0.1], atol=0.02)


def test_a_split_of_a_sorted_file_is_alike_in_all_parts(write):
    splits = read_pairs(PairsConfig(path=(write("a.tsv", as_lines(many(1000))),)))
    places = [np.mean([int(pair.source.split()[1]) for pair in part]) for part in splits[:3]]
    assert [len(part) for part in splits[:3]] == [800, 100, 100]
    np.testing.assert_allclose(places, 500, atol=100)
    assert splits.train == sorted(splits.train, key=lambda pair: int(pair.source.split()[1]))


def test_given_files_take_the_place_of_a_split(write):
    paths = [(write(f"{n}.tsv", as_lines(many(5, n))),) for n in (0, 100, 200)]
    given = dict(zip(("path", "valid_path", "test_path"), paths, strict=True))
    splits = read_pairs(PairsConfig(**given))
    assert splits[:3] == (many(5), many(5, 100), many(5, 200))
    one = read_pairs(PairsConfig(path=(write("a.tsv", as_lines(many(90))),), test_path=given["test_path"]))
    assert (len(one.train), len(one.valid), one.test) == (80, 10, many(5, 200))


def test_skipped_lines_are_counted_for_each_file_of_its_own(write):
    config = PairsConfig(
        path=(write("a.tsv", as_lines(many(9)) + "x\ny\n"),), skip_broken=True,
        valid_path=(write("b.src", "a\n\n"),), valid_target_path=(write("b.tgt", "a\nb\n"),),
        test_path=(write("c.tsv", "a\tb\n"),),
    )  # fmt: skip
    assert read_pairs(config).dropped == {"train": {"broken": 2}, "valid": {"empty": 1}, "test": {}}


def test_pairs_that_leave_a_split_empty_are_refused(write):
    with pytest.raises(InputError, match=r"test split is empty: there are 3 pairs \(3 different sources\).*test-path"):
        read_pairs(PairsConfig(path=(write("a.tsv", LINES),)))


BAD_CONFIGS = {
    "tokenizer": ({"tokenizer": "wrod"}, "Did you mean `word`"),
    "too long": ({"too_long": "cut"}, "`too_long` should be a known name.*truncate"),
    "batches": ({"batches": "bucket"}, "Did you mean `bucketed`"),
    "split": ({"split": (0.5, 0.1, 0.1)}, "sum to 1"),
    "vocabulary": ({"vocabulary": 1}, "`vocabulary` should be at least 2"),
    "length": ({"source_length": -1}, "`source_length` should be at least 0"),
    "buckets": ({"buckets": 0}, "`buckets` should be at least 1"),
    "ratio": ({"ratio": 0.5}, "`ratio` should be more than 1"),
    "ratio nan": ({"ratio": float("nan")}, "`ratio` should be more than 1"),
    "valid alone": ({"valid_path": ("a",)}, "nothing to train on"),
    "targets alone": ({"target_path": ("a",)}, "`target_path` is given without `path`"),
    "test targets alone": ({"path": ("a",), "test_target_path": ("a",)}, "without `test_path`. Try --data.test-path"),
}


@pytest.mark.parametrize("options, message", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_bad_configurations_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        PairsConfig(**options)


@pytest.mark.parametrize("kind", ("char", "byte", "word", "bpe", "wordpiece", "unigram"))
def test_each_side_has_its_own_tokenizer_or_both_one(kind):
    pairs = [Pair("der Hund bellt laut", "the dog barks"), Pair("die Katze schläft", "the cat sleeps")] * 9
    source, target = train_pair_tokenizers(PairsConfig(tokenizer=kind, vocabulary=300), pairs)
    assert source is not target
    assert target.decode(target.encode("the dog sleeps", strict=True)) == "the dog sleeps"
    assert kind in ("byte", "bpe") or (source.encode("Katze") != source.unknown).all()
    assert kind in ("byte", "bpe") or (target.encode("Katzä") == target.unknown).any()
    both, same = train_pair_tokenizers(PairsConfig(tokenizer=kind, vocabulary=300, joint=True), pairs)
    assert both is same
    assert both.unknown not in [*both.encode("die Katze"), *both.encode("the cat")]


def test_a_side_with_one_symbol_is_refused_by_name():
    with pytest.raises(InputError, match=r"nothing but 'a'.*These are the targets"):
        train_pair_tokenizers(PairsConfig(), [Pair("bc", "aa"), Pair("bd", "a")])


LONG = [Pair("abc", "a"), Pair("abcdef", "ab"), Pair("a", "abcdef"), Pair("abcd", "abcd")]


def encode(pairs=LONG, train=True, **options):
    config = PairsConfig(**options)
    return encode_pairs(config, pairs, *train_pair_tokenizers(config, LONG), train=train)


def test_without_limits_all_pairs_stay_and_their_ids_give_them_back():
    config = PairsConfig()
    source, target = train_pair_tokenizers(config, LONG)
    made = encode_pairs(config, LONG, source, target, train=True)
    sides = zip(map(source.decode, made.sources), map(target.decode, made.targets), strict=True)
    assert [Pair(*pair) for pair in sides] == made.pairs == LONG
    assert (made.dropped, made.truncated, made.unknown) == ({}, 0, (0, 0))


def test_long_pairs_are_dropped_or_cut_when_asked_and_counted():
    limits = {"source_length": 4, "target_length": 4}
    dropped = encode(too_long="drop", **limits)
    assert (dropped.pairs, dropped.dropped, dropped.truncated) == ([LONG[0], LONG[3]], {"long": 2}, 0)
    cut = encode(too_long="truncate", **limits)
    assert (cut.pairs, cut.dropped, cut.truncated) == (LONG, {}, 2)
    assert max(map(len, cut.sources + cut.targets)) == 4
    np.testing.assert_array_equal(cut.sources[1], encode().sources[1][:4])


def test_long_pairs_are_refused_by_default_with_how_many_and_the_first():
    message = r"2 of 4 sources are too long: number 2 has 6 symbols, and at most 3 .* 'abcdef'.*--data.source-length 6"
    with pytest.raises(InputError, match=message):
        encode(source_length=3)
    with pytest.raises(InputError, match=r"1 of 4 targets is too long: number 3 .*truncate.*--data.target-length 6"):
        encode(target_length=5)


def test_unlike_pairs_are_dropped_from_training_alone():
    made = encode(ratio=2.9)
    assert (made.pairs, made.dropped) == ([LONG[3]], {"ratio": 3})
    assert encode(ratio=3).pairs == [LONG[0], LONG[1], LONG[3]]
    assert encode(ratio=2.9, train=False).pairs == LONG
    assert encode(ratio=2.9, too_long="drop", source_length=4).dropped == {"long": 1, "ratio": 2}


def test_symbols_that_training_never_saw_are_counted():
    assert encode([Pair("abz", "yxa")], train=False).unknown == (1, 2)
    assert encode([Pair("abz", "yxa")], train=False, tokenizer="byte").unknown == (0, 0)


def test_filters_that_leave_nothing_are_refused():
    with pytest.raises(InputError, match=r"of 1 pairs none is left: 1 dropped \(long\), 0 dropped \(ratio\)"):
        encode([LONG[1]], too_long="drop", source_length=2)
