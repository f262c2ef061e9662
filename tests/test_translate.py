"""Pairs on the command line: train, translate with a beam, look at alignments, score, evaluate, and what is refused."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.data import Pair, PairsConfig, encode_pairs, train_pair_tokenizers
from seqjax.tasks.session import open_existing, trained
from seqjax.tasks.text_metrics import bleu_and_chrf, exact_match
from seqjax.tasks.translate import reporter
from seqjax.tasks.translate_use import Translator, examine, show
from seqjax.training.journal import read

WORDS = {"um": "1", "dois": "2", "três": "3", "uno": "1", "dos": "2", "tres": "3"}
TINY = [
    "--batch-size", "8", "--data.buckets", "1", "--log-every", "40", "--shown", "1", "--optimizer.warmup", "0",
    "--optimizer.learning-rate", "0.01",
]  # fmt: skip
SIZES = {name: ["--model.features", "16"] for name in ("bahdanau", "luong", "sutskever", "cho")}
SIZES["transformer"] = ["--model.features", "16", "--model.heads", "2", "--model.layers", "1", "--longest", "40", "24"]


def pairs(count: int = 120) -> list[tuple[str, str]]:
    """Number words of two languages, and digits."""
    random = np.random.default_rng(0)
    rows = [random.choice([*WORDS], size=random.integers(1, 5)) for _ in range(count)]
    return [(" ".join(row), "".join(WORDS[word] for word in row)) for row in rows]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Two columns."""
    path = tmp_path_factory.mktemp("pairs") / "numbers.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs()), encoding="utf-8")
    return path


def command(out, file, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "translate", preset, "--out", out, "--data.path", file, *SIZES[preset], *TINY,
        "--steps", 2, "--evaluate-every", 2, *words,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory, file):
    """A finished run of each preset, made when asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def of(preset: str) -> Path:
        if preset not in made:
            steps = ["--steps", 80, "--evaluate-every", 40] if preset == "bahdanau" else []
            said = training(*command(folder / preset, file, preset, *steps))
            assert said.code == 0, said.err
            made[preset] = folder / preset
        return made[preset]

    return of


@pytest.mark.parametrize("preset", SIZES)
def test_every_preset_trains_and_translates(preset, runs):
    run = runs(preset)
    row = read(run / "metrics.jsonl")[-1]
    assert row["split"] == "test"
    assert {"loss", "perplexity", "accuracy", "exact_match", "bleu", "chrf"} <= row.keys()
    said = seqjax("predict", run, stdin="um dois\ntres\n")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 2


def test_it_learns(runs):
    losses = [row["loss"] for row in read(runs("bahdanau") / "metrics.jsonl") if row["split"] == "valid"]
    assert losses[-1] < losses[0]


def test_evaluate_repeats_the_last_row(runs):
    last = read(runs("bahdanau") / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", runs("bahdanau"), "--json").out)
    assert_own_splits(runs("bahdanau"))
    for name in ("loss", "accuracy", "exact_match", "bleu", "chrf"):
        assert said[name] == pytest.approx(last[name], rel=1e-5)


def test_the_help_of_a_run_shows_the_flags_of_its_task_and_nothing_of_our_own(runs):
    for verb, flags in (("evaluate", ["--data.path", "--data.target-path"]), ("predict", ["--beam", "--align"])):
        said = seqjax(verb, runs("bahdanau"), "--help")
        assert said.code == 0
        assert all(flag in said.out for flag in flags)
        assert "type: ignore" not in said.out


def test_evaluate_measures_other_files_too(runs, tmp_path):
    (tmp_path / "in.txt").write_text("um\ndois\n")
    (tmp_path / "out.txt").write_text("1\n2\n")
    (tmp_path / "both.tsv").write_text("um\t1\ndois\t2\n")
    sides = ["--data.path", tmp_path / "in.txt", "--data.target-path", tmp_path / "out.txt"]
    apart = seqjax("evaluate", runs("bahdanau"), "--json", *sides)
    both = seqjax("evaluate", runs("bahdanau"), "--json", "--data.path", tmp_path / "both.tsv")
    one, other = json.loads(apart.out), json.loads(both.out)
    assert (one.pop("path"), other.pop("path")) == (str(tmp_path / "in.txt"), str(tmp_path / "both.tsv"))
    assert one == other
    (tmp_path / "out.txt").write_text("1\n")
    assert_refused(seqjax("evaluate", runs("bahdanau"), *sides), "2 and", "out.txt has 1")


def test_a_beam_of_one_is_greedy_and_the_best_of_many_come_in_order(runs):
    lines = "um dois três\nuno\n"
    assert seqjax("predict", runs("bahdanau"), "--beam", 1, stdin=lines).out == seqjax(
        "predict", runs("bahdanau"), stdin=lines
    ).out  # fmt: skip
    said = seqjax("predict", runs("bahdanau"), "--beam", 4, "--n-best", 3, "--length-penalty", 0, stdin=lines)
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [int(number) for number, _, _ in rows] == [1, 1, 1, 2, 2, 2]
    scores = [float(score) for _, score, _ in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True)
    assert len({text for _, _, text in rows[:3]}) == 3


def test_the_score_of_a_translation_is_the_one_the_search_gave_it(runs):
    said = seqjax("predict", runs("bahdanau"), "--beam", 3, "--n-best", 2, stdin="dois um\n")
    rows = [line.split("\t") for line in said.out.splitlines()]
    scored = seqjax("score", runs("bahdanau"), stdin="".join(f"dois um\t{text}\n" for _, _, text in rows))
    for (_, wanted, _), line in zip(rows, scored.out.splitlines(), strict=True):
        assert float(line.split("\t")[0]) == pytest.approx(float(wanted), abs=2e-3)


def test_a_line_is_translated_alike_alone_and_among_others(runs):
    lines = [source for source, _ in pairs(40)]
    together = seqjax("predict", runs("bahdanau"), stdin="\n".join(lines) + "\n").out.splitlines()
    assert [seqjax("predict", runs("bahdanau"), stdin=line + "\n").out.strip() for line in lines[:3]] == together[:3]


@pytest.mark.parametrize("preset, count", [("bahdanau", 1), ("transformer", 2)])
def test_alignments_are_drawn_one_picture_an_attention(preset, count, runs, tmp_path):
    said = seqjax("predict", runs(preset), "--align", tmp_path / "pictures", stdin="um\n")
    assert said.code == 0, said.err
    pictures = sorted((tmp_path / "pictures").glob("0001*.png"))
    assert len(pictures) == count
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_the_search_is_drawn_one_picture_a_line(runs, tmp_path):
    said = seqjax("predict", runs("bahdanau"), "--beam", 3, "--tree", tmp_path / "trees", stdin="um\ndois tres\n")
    assert said.code == 0, said.err
    pictures = sorted((tmp_path / "trees").iterdir())
    assert [picture.name for picture in pictures] == ["0001.png", "0002.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_evaluate_says_what_it_left_out_and_refuses_another_alphabet(runs, tmp_path):
    (tmp_path / "some.tsv").write_text("um\t1\ndois dois\t2!\nno tab\n", encoding="utf-8")
    words = ["evaluate", runs("bahdanau"), "--json", "--data.path", tmp_path / "some.tsv"]
    assert_refused(seqjax(*words), "some.tsv, line 3")
    (tmp_path / "some.tsv").write_text("um\t1\ndois dois\t2!\n", encoding="utf-8")
    assert json.loads(seqjax(*words).out)["unknown symbols in targets"] == 1
    (tmp_path / "some.tsv").write_text("um\tодин\ndois\tдва 2\n", encoding="utf-8")
    assert_refused(seqjax(*words), "8 of 9 target characters", "never seen in training")


def test_a_target_too_long_to_be_written_is_not_scored(runs):
    assert_refused(seqjax("score", runs("transformer"), stdin=f"um\t{'1' * 24}\n"), "line 1", "24 symbols", "for 23")


def test_a_model_without_attention_has_no_alignment(runs, tmp_path):
    assert_refused(seqjax("predict", runs("cho"), "--align", tmp_path, stdin="um\n"), "no attention to draw")


def test_an_empty_line_and_no_line_are_answered(runs, tmp_path):
    alone = seqjax("predict", runs("bahdanau"), stdin="um\n").out
    for preset in ("bahdanau", "transformer"):
        said = seqjax("predict", runs(preset), "--align", tmp_path / preset, stdin="\num\n \t\n")
        assert said.code == 0, said.err
        first, second, third, end = said.out.split("\n")
        assert (first, third, end) == ("", "", "")
        assert preset != "bahdanau" or second + "\n" == alone
        assert {picture.name[:4] for picture in (tmp_path / preset).iterdir()} == {"0002"}
    assert seqjax("predict", runs("bahdanau"), stdin="\n\n").out == "\n\n"
    said = seqjax("predict", runs("bahdanau"), "--beam", 2, "--n-best", 2, stdin="\num\n")
    assert said.out.startswith("1\t0.0000\t\n2\t")
    assert [line.split("\t")[0] for line in said.out.splitlines()] == ["1", "2", "2"]
    assert seqjax("predict", runs("bahdanau"), stdin="").out == ""


def test_a_source_too_long_is_refused_or_cut_when_asked(runs):
    long = "um " * 20 + "\n"
    assert_refused(seqjax("predict", runs("transformer"), stdin=long), "line 1", "40", "--truncate")
    said = seqjax("predict", runs("transformer"), "--truncate", stdin=long)
    assert said.code == 0
    assert "1 of 1 sources cut to 40 symbols" in said.err


FLAGS = {
    "a beam of nothing": (["--beam", 0], ["--beam should be at least 1"]),
    "more than the beam": (["--n-best", 3, "--beam", 2], ["--n-best", "--beam 3"]),
    "no tokens": (["--max-tokens", -1], ["--max-tokens"]),
    "no length": (["--min-length", -1], ["min_length"]),
    "an unknown flag": (["--beams", 2], ["--beam"]),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_that_cannot_be_are_refused(kind, runs):
    flags, words = FLAGS[kind]
    assert_refused(seqjax("predict", runs("bahdanau"), *flags, stdin="um\n"), *words)


def test_symbols_that_training_never_saw_are_refused_by_name(runs):
    assert_refused(seqjax("predict", runs("bahdanau"), stdin="um\nчетыре\n"), "line 2", "'ч'")
    assert_refused(seqjax("score", runs("bahdanau"), stdin="um\tX\n"), "line 1", "'X'")
    assert_refused(seqjax("score", runs("bahdanau"), stdin="um dois\n"), "line 1", "SOURCE TAB TARGET")


FILES = {
    "a line without a tab": ("um\t1\ndois\n", ["line 2", "no tab", "--data.skip-broken"]),
    "three columns": ("um\t1\ndois\t2\t3\n", ["line 2", "3 columns"]),
    "an empty side": ("um\t1\n\t2\n", ["line 2", "empty"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_no_pairs_are_refused_and_leave_no_run(kind, tmp_path):
    text, words = FILES[kind]
    (tmp_path / "pairs.tsv").write_text(text)
    assert_refused(training(*command(tmp_path / "run", tmp_path / "pairs.tsv", "bahdanau")), "pairs.tsv", *words)
    assert not (tmp_path / "run").exists()


SHAPES = {
    "heads that do not divide": ("transformer", ["--model.heads", 3], ["heads"]),
    "positions for too few": ("transformer", ["--longest", 8, 24], ["too long", "--data.too-long truncate"]),
    "packed rows for a recurrence": ("bahdanau", ["--data.batches", "packed"], ["bucketed"]),
    "smoothing all away": ("transformer", ["--label-smoothing", 1.0], ["--label-smoothing"]),
    "an average of more than is kept": ("bahdanau", ["--average-last", 5], ["--average-last", "--keep"]),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_that_cannot_be_are_refused(kind, file, tmp_path):
    preset, flags, words = SHAPES[kind]
    assert_refused(training(*command(tmp_path / "run", file, preset, *flags)), *words)


def test_the_mean_of_the_newest_checkpoints_is_what_is_used(file, tmp_path):
    flags = ["--steps", 6, "--evaluate-every", 2, "--keep", 3, "--examples", 0, "--shown", 0]
    for name, average in (("mean", 3), ("best", 0)):
        said = training(*command(tmp_path / name, file, "cho", *flags, "--average-last", average))
        assert said.code == 0, said.err
        used = "mean of the newest checkpoints, at most 3, up to" if average else "best validation at"
        assert f"test split, {used} step 6:" in said.out
    mean, best = (trained(open_existing(str(tmp_path / name))).params for name in ("mean", "best"))
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), mean, best)
    assert max(jax.tree.leaves(moved)) > 1e-5


def test_sources_are_translated_as_the_loss_reads_them_cut_where_that_is_the_rule():
    read = []

    class Silent(Translator):
        def translate(self, ids, options):
            read.extend(map(len, ids))
            return iter([[] for _ in ids])

    tokenizers = train_pair_tokenizers(PairsConfig(), [Pair("um dois", "12")])
    how = PairsConfig(source_length=4, too_long="truncate")
    encoded = encode_pairs(how, [Pair("um dois", "12"), Pair("um", "1")], *tokenizers, train=False)
    silent = Silent(None, *tokenizers, None)
    measure = examine(silent, {"valid": encoded, "test": encoded}, 1)
    assert measure(None, "test")["exact_match"] == measure(None, "valid")["exact_match"] == 0
    assert "um dois\n  wanted 12" in show(silent, encoded, 2)(None, 1)
    assert read == [4, 2, 4, 4, 2]  # of validation only so many


def test_perplexity_per_word_counts_the_words_that_were_predicted():
    pairs = [Pair("a", "one two six ten")] * 8
    for how in ({}, {"target_length": 5, "too_long": "truncate"}):
        data = PairsConfig(tokenizer="byte", **how)
        source, target = train_pair_tokenizers(data, [Pair("ab", "one two six ten")])
        encoded = encode_pairs(data, pairs, source, target, train=False)
        symbols = sum(len(row) + 1 for row in encoded.targets)
        words = 8 * (3 if how else 5)  # `one t` or all four, and the end
        found = reporter({"test": encoded}, target)({"cross_entropy": (words * np.log(7), symbols)}, "test")
        assert found["word_perplexity"] == pytest.approx(7)


def test_metrics_are_those_of_whole_lines():
    made, references = ["a b c d", "x"], ["a b c d", "y"]
    assert exact_match(made, references) == 0.5
    assert bleu_and_chrf(references, references) == pytest.approx({"bleu": 100, "chrf": 100})
