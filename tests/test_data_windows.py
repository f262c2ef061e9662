"""Windows of words and counts of what stands near: against counting by hand; every draw a function of its number."""

import itertools

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import cooccurrences
from seqjax.data.cooccurrences import CountsConfig, count_cooccurrences, entry_batches
from seqjax.data.skipgrams import WindowsConfig, keep_probability, noise, window_batches
from seqjax.data.word_list import WordList, count_words
from seqjax.data.word_questions import read_analogies, read_similarities
from seqjax.data.word_text import WordTextConfig, known_words, split_lines

RANDOM = np.random.default_rng(0)
LINES = [" ".join(RANDOM.choice(list("abcdefg"), RANDOM.integers(0, 9), p=[0.4, 0.2] + [0.08] * 5)) for _ in range(60)]
WORDS = count_words(split_lines(LINES))
TEXT = known_words(LINES, WORDS)
PLAIN = WindowsConfig(window=3, span=4, shared=5, subsample=0)


def pairs_of(batches, config):
    """(centre, context, distance) of all pairs, by hand."""
    found = []
    for batch in batches:
        for words, sentence, reach in zip(batch["words"], batch["sentence"], batch["reach"], strict=True):
            for t, far in enumerate(reach + 0):
                centre = t + config.window
                near = range(centre - far, centre + far + 1)
                found += [
                    (words[centre], words[j], abs(j - centre))
                    for j in near if j != centre and sentence[j] == sentence[centre] >= 0
                ]  # fmt: skip
    return found


@pytest.mark.parametrize("train", [False, True])
def test_every_word_is_once_a_centre_and_no_window_leaves_its_sentence(train):
    batches = window_batches(TEXT, WORDS, PLAIN, rows=8, seed=3, train=train)
    epoch = [batches[n] for n in range(batches.steps_per_epoch)]
    centres = np.concatenate([b["words"][:, 3:-3][b["sentence"][:, 3:-3] >= 0] for b in epoch])
    assert sorted(centres) == sorted(TEXT.ids)
    assert (centres.tolist() == TEXT.ids.tolist()) is not train
    allowed = {
        (int(a), int(b), abs(i - j))
        for line in LINES
        for (i, a), (j, b) in itertools.permutations(enumerate(WORDS.encode(line.split())), 2)
    }
    found = pairs_of(epoch, PLAIN)
    assert {(int(a), int(b), int(d)) for a, b, d in found} <= allowed
    assert all(d <= 3 for *_, d in found)


def test_reaches_are_drawn_evenly_and_the_mean_number_of_pairs_is_known():
    batches = window_batches(TEXT, WORDS, PLAIN, rows=8, train=True)
    epochs = [batches[n] for n in range(30 * batches.steps_per_epoch)]
    reach = np.concatenate([batch["reach"].ravel() for batch in epochs])
    np.testing.assert_allclose(np.bincount(reach, minlength=4)[1:] / len(reach), 1 / 3, atol=0.02)
    count = len(pairs_of(epochs, PLAIN)) / len(epochs)
    assert count == pytest.approx(batches.pairs_per_batch, rel=0.03)


def test_frequent_words_are_dropped_and_negatives_follow_the_power():
    config = WindowsConfig(window=1, span=8, shared=64, subsample=0.05, power=0.5)
    batches = window_batches(TEXT, WORDS, config, rows=4, train=True)
    epochs = [batches[n] for n in range(200 * batches.steps_per_epoch)]
    centres = np.concatenate([batch["words"][:, 1:-1][batch["sentence"][:, 1:-1] >= 0] for batch in epochs])
    share = np.bincount(centres, minlength=len(WORDS))[1:] / WORDS.counts[1:] / 200
    np.testing.assert_allclose(share, keep_probability(WORDS, 0.05)[1:], rtol=0.07)
    drawn = np.bincount(np.concatenate([batch["negatives"].ravel() for batch in epochs]), minlength=len(WORDS))
    assert drawn[0] == 0
    np.testing.assert_allclose(
        drawn[1:] / drawn.sum(), np.sqrt(WORDS.counts[1:]) / np.sqrt(WORDS.counts[1:]).sum(), rtol=0.05
    )


def test_gensim_keeps_words_with_the_same_probability():
    word2vec = pytest.importorskip("gensim.models").Word2Vec(min_count=1, sample=0.05)
    word2vec.build_vocab([line.split() for line in LINES])
    ours = keep_probability(WORDS, 0.05)
    for word in "abcdefg":
        assert word2vec.wv.get_vecattr(word, "sample_int") / 2**32 == pytest.approx(ours[WORDS.ids[word]], rel=1e-6)


def test_unknown_words_are_no_part_of_the_text_that_words_are_a_share_of():
    many, none = (keep_probability(WordList(["a", "b"], [unknown, 90, 10]), 0.1) for unknown in (900, 0))
    np.testing.assert_array_equal(many, none)
    assert set(noise(WordList(["a", "b"], [900, 90, 10]), 0.75)) == {1, 2}  # nor drawn as noise


def test_a_batch_is_a_function_of_its_number_and_the_seed():
    make = lambda seed: window_batches(TEXT, WORDS, WindowsConfig(), rows=2, seed=seed, train=True)  # noqa: E731
    late = 5 * make(0).steps_per_epoch + 1
    one, again, other = make(0), make(0), make(1)
    _ = [one[n] for n in range(3)]
    assert all((one[late][name] == again[late][name]).all() for name in one[late])
    assert any((one[late][name] != other[late][name]).any() for name in one[late])


@pytest.mark.parametrize("by_distance", [True, False])
def test_counts_are_those_of_counting_by_hand_whatever_the_chunk(by_distance, monkeypatch):
    wanted = np.zeros((len(WORDS), len(WORDS)))
    for line in LINES:
        for (i, a), (j, b) in itertools.permutations(enumerate(WORDS.encode(line.split())), 2):
            if abs(i - j) <= 3:
                wanted[a, b] += 1 / abs(i - j) if by_distance else 1
    config = CountsConfig(window=3, by_distance=by_distance)
    for chunk, parts in (
        (1 << 20, [TEXT]),
        (7, [TEXT]),
        (5, [known_words(LINES[:9], WORDS), known_words(LINES[9:], WORDS)]),
    ):
        monkeypatch.setattr(cooccurrences, "CHUNK", chunk)
        found = count_cooccurrences(parts, config, len(WORDS))
        matrix = np.zeros_like(wanted)
        matrix[found.rows, found.columns] = found.counts
        np.testing.assert_allclose(matrix, wanted, rtol=1e-6)
        assert len(found.counts) == (wanted > 0).sum()


def test_entries_come_once_an_epoch_and_padding_counts_nothing():
    found = count_cooccurrences([TEXT], CountsConfig(window=3), len(WORDS))
    batches = entry_batches(found, rows=10, train=True)
    epoch = [batches[n] for n in range(batches.steps_per_epoch)]
    rows = np.concatenate([np.stack([b["row"], b["column"], b["count"]], 1) for b in epoch])
    assert sorted(map(tuple, rows[rows[:, 2] > 0])) == sorted(map(tuple, np.stack(found, 1).astype(np.float32)))
    assert (rows[rows[:, 2] == 0] == 0).all()


REFUSED = {
    "nothing near": (lambda: known_words(["a", "b", "zz a"], WORDS), "no line holds two known words"),
    "no windows": (lambda: WindowsConfig(window=0), "--windows.window should be at least 1"),
    "a share above one": (lambda: WindowsConfig(subsample=2.0), "--windows.subsample should lie in"),
    "no rows": (lambda: window_batches(TEXT, WORDS, PLAIN, rows=0, train=True), "`rows` should be at least 1"),
    "no window to count in": (lambda: CountsConfig(window=0), "--counts.window"),
    "a split of nothing": (lambda: WordTextConfig(split=(1.0, 0.0, 0.0)), "leaves a split empty"),
    "no count": (lambda: WordTextConfig(min_count=0), "`min_count` should be at least 1"),
    "too rare": (lambda: count_words([["a"]], min_count=5), "none stands 5 times"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_is_refused(kind):
    make, message = REFUSED[kind]
    with pytest.raises(InputError, match=message):
        make()


def test_questions_are_read_and_broken_ones_refused(tmp_path):
    path = tmp_path / "questions.txt"
    for text in ("# a remark\ncat\tdog\t7.5\n", "Word 1,Word 2,Mean\ncat,dog,7.5\n", "cat dog 7.5\n"):
        path.write_text(text)
        assert read_similarities(str(path)) == [("cat", "dog", 7.5)]
    for text, message in (("cat\tdog\n", "line 1: should be WORD"), ("a b 1\na b c\n", "line 2"), ("#\n", "no pairs")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_similarities(str(path))
    path.write_text(": capitals\nAthens Greece Oslo Norway\n: verbs\ngo goes do does\n")
    assert {name: len(found) for name, found in read_analogies(str(path)).items()} == {"capitals": 1, "verbs": 1}
    for text, message in ((": a\nb c d\n", "line 2: should be four words"), (": a\n", "no questions")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_analogies(str(path))


def test_words_are_counted_in_lower_case():
    words = count_words(split_lines(["The cat.", "the Dog"]), lower=True)
    assert isinstance(words, WordList)
    assert words.words == ("<unk>", "the", "cat", "dog")
    fewer = count_words(split_lines(["The cat.", "the Dog"]), lower=True, min_count=2)
    assert (fewer.words, fewer.counts.tolist()) == (("<unk>", "the"), [2, 2])  # what is unknown is counted
