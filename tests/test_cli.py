"""The command line: train, go on, and use what was trained."""

import dataclasses
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import TINY, assert_own_splits, assert_refused, call, seqjax, snapshot, story, training

from seqjax import cells
from seqjax.ops.sampling import Sampling
from seqjax.process import exit_with
from seqjax.tasks import lm, translate
from seqjax.tasks.lm_use import DOCUMENT, sample
from seqjax.tasks.positions import fixed_tables
from seqjax.tasks.session import open_existing, task_named_in, trained
from seqjax.training.journal import read

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """A file of text."""
    path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text(story())
    return path


def trained_run(out, text, *words, steps=40, every=20):
    """Train in ``out`` and return the folder."""
    preset = words[:1] if words and not words[0].startswith("-") else ()
    said = training(
        *preset, "--data.path", text, "--out", out, *TINY, "--optimizer.learning-rate", "0.01", "--optimizer.warmup",
        "0", "--steps", steps, "--log-every", every, "--evaluate-every", every, *words[len(preset) :],
    )  # fmt: skip
    assert said.code == 0, said.err
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory, text) -> Path:
    """A run of the default preset, finished."""
    return trained_run(tmp_path_factory.mktemp("runs") / "chars", text)


@pytest.fixture(scope="module")
def ngram(tmp_path_factory, text) -> Path:
    """A run of the window preset, finished."""
    return trained_run(
        tmp_path_factory.mktemp("runs") / "ngram", text, "ngram", "--data.min-count", "1", "--batch-size", 64
    )


def losses(folder: Path, split: str) -> list[float]:
    """One number a row of metrics.jsonl."""
    return [row["loss"] for row in read(folder / "metrics.jsonl") if row["split"] == split]


def test_a_run_leaves_what_it_promises(run):
    assert {path.name for path in run.iterdir()} >= {"config.json", "tokenizer.json", "metrics.jsonl", "curves.png"}
    rows = read(run / "metrics.jsonl")
    assert [(row["step"], row["split"]) for row in rows if row["split"] != "train"] == [
        (20, "valid"), (40, "valid"), (40, "test"),
    ]  # fmt: skip
    assert rows[-1]["split"] == "test"
    for row in rows:
        assert math.isclose(row["perplexity"], math.exp(row["loss"]), rel_tol=1e-6)
    assert losses(run, "valid")[1] < losses(run, "valid")[0]


def test_the_same_command_again_changes_no_number(run, text):
    before = losses(run, "train"), losses(run, "valid"), losses(run, "test")
    trained_run(run, text)
    assert (losses(run, "train"), losses(run, "valid"), losses(run, "test")) == before


def test_more_steps_extend_a_run(tmp_path, text):
    folder = trained_run(tmp_path / "run", text, steps=4, every=2)
    trained_run(folder, text, steps=6, every=2)
    assert [row["step"] for row in read(folder / "metrics.jsonl") if row["split"] == "valid"] == [2, 4, 6]
    assert json.loads((folder / "config.json").read_text())["config"]["optimizer"]["horizon"] == 4


def test_a_saved_configuration_makes_the_same_run_elsewhere(tmp_path, text, ngram):
    words = ["--config", ngram / "config.json", "--out", tmp_path / "again", "--steps", "20"]
    said = training(*words)
    assert said.code == 0, said.err
    saved = json.loads((tmp_path / "again" / "config.json").read_text())
    assert saved["preset"] == "ngram"
    assert saved["config"]["optimizer"]["horizon"] == 20, "the schedule should follow the new run's steps"
    assert saved["config"]["data"]["batches"] == "window"


def test_a_configuration_may_say_only_what_differs_from_the_preset(tmp_path, text):
    file = tmp_path / "part.json"
    file.write_text(json.dumps({"model": {"features": 16}, "steps": 2, "data": {"path": [str(text)]}, "batch_size": 8}))
    said = training("word-lstm", f"--config={file}", "--out", tmp_path / "run", "--data.length", "4")
    assert said.code == 0, said.err
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (saved["model"]["tied"], saved["model"]["features"], saved["data"]["length"]) == (True, 16, 4)


@pytest.mark.parametrize("seed", [0, 7])
def test_generate_streams_the_text_that_sample_draws(run, seed):
    said = seqjax("generate", run, "--prompt", "The ", "--max-tokens", 60, "--temperature", 0.7, "--seed", seed)
    wanted = sample(trained(open_existing(str(run))), "The ", 60, jax.random.key(seed), Sampling(temperature=0.7))
    assert said.code == 0
    assert said.out == wanted + "\n"
    assert said.out.startswith("The ")


def test_several_samples_are_several_texts_and_the_first_is_that_of_one(run):
    how = ("--prompt", "The ", "--max-tokens", 20, "--seed", 5)
    one, three = seqjax("generate", run, *how).out, seqjax("generate", run, *how, "--samples", 3).out
    texts = three.split("\n--------\n")
    assert texts[0] + "\n" == one
    assert len({*texts}) == 3
    assert all(text.startswith("The ") for text in texts)
    assert_refused(seqjax("generate", run, "--samples", 0), "--samples should be at least 1")
    assert_refused(
        seqjax("generate", run, "--samples", 2, "--greedy"), "--samples should be 1 with --greedy", "it is 2"
    )


def test_a_seed_decides_the_text(run):
    first, again, other = (seqjax("generate", run, "--seed", seed).out for seed in (1, 1, 2))
    assert first == again != other


def test_greedy_does_not_depend_on_the_seed(run):
    first, other = (seqjax("generate", run, "--greedy", "--max-tokens", 30, "--seed", seed).out for seed in (1, 2))
    assert first == other


def test_words_go_on_from_a_prompt_with_one_space(ngram):
    lm = trained(open_existing(str(ngram)))
    known = {lm.tokenizer.decode([symbol]) for symbol in range(1, lm.tokenizer.size)}
    for prompt in ("The", "The ", ""):
        text = seqjax("generate", ngram, "--prompt", prompt, "--max-tokens", 1, "--greedy").out.rstrip("\n")
        word = text.removeprefix(prompt)
        space = " " if prompt == "The" and word.strip() not in ".," else ""
        assert word.removeprefix(space) in known | {""}
        assert word.startswith(space)


def by_hand(folder: Path, line: str) -> float:
    """Log-probability of a line in nats: one ``advance`` a symbol, added in float64."""
    lm = trained(open_existing(str(folder)))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(lm.params))  # on a device, once
    ids = [DOCUMENT, *lm.tokenizer.encode(line, strict=True), DOCUMENT]
    prompt = {"tokens": jnp.zeros((1, 1), jnp.int32), "mask": jnp.zeros((1, 1), bool)}
    params = lm.model.decodable.prepare(jax.tree.map(jnp.asarray, lm.params))
    memory, state = lm.model.decodable.start(params, prompt)
    advance = jax.jit(lm.model.decodable.advance)
    total = 0.0
    for last, following in itertools.pairwise(ids):
        state, logits = advance(params, memory, state, jnp.array([last]))
        scores = np.asarray(logits, np.float64)[0]
        total += scores[following] - scores.max() - np.log(np.exp(scores - scores.max()).sum())
    return total


@pytest.mark.parametrize("name", ["run", "ngram"])
def test_the_score_of_a_line_is_the_sum_over_its_symbols(name, request):
    folder = request.getfixturevalue(name)
    lines = ["The cat sat on the mat.", "", "mat the on sat cat The."]
    said = seqjax("score", folder, "--json", stdin="\n".join(lines) + "\n")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["line"] for row in rows] == lines
    for row in rows:
        assert row["log_probability"] == pytest.approx(by_hand(folder, row["line"]), rel=1e-4)
        assert row["perplexity"] == pytest.approx(math.exp(-row["log_probability"] / row["symbols"]), rel=1e-6)
    assert rows[0]["log_probability"] > rows[2]["log_probability"], "a sentence should beat its scramble"
    plain = seqjax("score", folder, stdin="The cat sat on the mat.\r\n").out.rstrip("\n").split("\t")
    assert plain == [f"{rows[0]['log_probability']:.4f}", f"{rows[0]['perplexity']:.4f}", lines[0]]


@pytest.mark.parametrize("name", ["run", "ngram"])
def test_evaluate_repeats_the_last_row(name, request, text, tmp_path):
    folder = request.getfixturevalue(name)
    assert_own_splits(folder)
    said = seqjax("evaluate", folder, "--json")
    row, wanted = json.loads(said.out), read(folder / "metrics.jsonl")[-1]
    assert (row.pop("split"), row) == ("test", pytest.approx({key: wanted[key] for key in row}, rel=1e-6))
    whole = text.read_text()
    (tmp_path / "test.txt").write_text(whole[-round(len(whole) / 10) :])
    given = json.loads(seqjax("evaluate", folder, "--data.path", tmp_path / "test.txt", "--json").out)
    assert given.pop("path") == str(tmp_path / "test.txt")
    assert given == pytest.approx(row, rel=1e-6)


def test_words_that_a_model_does_not_know_are_named(ngram, run):
    said = seqjax("score", ngram, stdin="The cat sat.\nThe mat mats tam.\n")
    assert (said.code, said.err) == (0, "2 unknown to the model, each read as <unk>: 'mats', 'tam'\n")
    said = seqjax("generate", ngram, "--prompt", "The tam", "--max-tokens", 2)
    assert (said.code, said.err) == (0, "1 unknown to the model, each read as <unk>: 'tam'\n")
    assert seqjax("score", run, stdin="The tam.\n").err == ""


def test_a_byte_order_mark_is_no_part_of_the_first_line(run):
    plain = seqjax("score", run, stdin="The cat sat.\n")
    assert plain.code == 0, plain.err
    assert seqjax("score", run, stdin=b"\xef\xbb\xbfThe cat sat.\n").out == plain.out


def test_evaluate_prints_a_table_for_people(run):
    said = seqjax("evaluate", run)
    assert said.code == 0
    assert "bits_per_char" in said.out
    assert f"{read(run / 'metrics.jsonl')[-1]['loss']:.4g}" in said.out


def test_inspect_shows_configuration_parameters_and_checkpoints(run):
    said = seqjax("inspect", run)
    size = open_existing(str(run)).task.use(open_existing(str(run)).config, open_existing(str(run)).folder, lambda s: s)
    numbers = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(size.params))
    assert "model.features = 16" in said.out
    assert f"{numbers:,}" in said.out
    assert "16 × 64" in said.out
    assert said.out.count("verified") == 2
    assert "BROKEN" not in said.out


PRESETS = ["char-rnn", "char-gru", "word-lstm", "word-gpt"]  # the others are the runs above and below
LAYOUTS = [("stream", "byte"), ("packed", "bpe"), ("bucketed", "wordpiece"), ("window", "unigram")]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_learns(preset, tmp_path, text):
    folder = trained_run(tmp_path / "run", text, preset, "--data.min-count", "1", steps=30, every=15)
    assert losses(folder, "valid")[-1] < losses(folder, "valid")[0]


@pytest.mark.parametrize("preset", ["gpt", "hybrid"])
def test_blocks_learn_write_beyond_their_context_and_score(preset, tmp_path, text):
    folder = trained_run(tmp_path / "run", text, preset, "--model.layers", "2", steps=30, every=15)
    assert losses(folder, "valid")[-1] < losses(folder, "valid")[0]
    written = seqjax("generate", folder, "--prompt", "The cat", "--max-tokens", 30, "--seed", 1)
    assert written.out.startswith("The cat")
    assert len(written.out) > 2 * len("The cat") > 8  # --data.length
    scored = seqjax("score", folder, stdin="The cat sat on the mat.\n")
    assert -np.inf < float(scored.out.split("\t")[0]) < 0
    drawn = seqjax("inspect", folder, "--positions", tmp_path / "places")
    assert drawn.out.endswith(f"{tmp_path / 'places' / 'positions.png'}\n")
    assert (tmp_path / "places" / "positions.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_older_than_a_flag_says_how_to_go_on(run, tmp_path, text):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    data = json.loads((folder / "config.json").read_text())
    assert data["config"]["model"].pop("embedding_dropout") == 0.0
    (folder / "config.json").write_text(json.dumps(data))
    flags = ["--optimizer.learning-rate", "0.01", "--optimizer.warmup", "0", "--steps", 40, "--log-every", 20]
    command = ["--data.path", text, "--out", folder, *TINY, *flags, "--evaluate-every", 20]
    said = training(*command)
    assert_refused(said, "older than some flags", "--model.embedding-dropout None")
    again = training(*command, "--model.embedding-dropout", "None")
    assert again.code == 0, again.err


def test_words_that_were_never_seen_are_counted(tmp_path, text):
    folder = trained_run(tmp_path / "run", text, "word-lstm", "--data.min-count", "1", steps=2, every=2)
    other = tmp_path / "other.txt"
    other.write_text("The Zebra ßat on the mat . " * 20)
    share = json.loads(seqjax("evaluate", folder, "--data.path", other, "--json").out)["unknown"]
    assert share == pytest.approx(40 / 141, abs=0.02)
    assert seqjax("score", folder, stdin="the Zebra sat\n").code == 0


def test_positions_that_are_not_learned_are_drawn_from_the_configuration():
    gpt, pairs = lm.PRESETS["gpt"], translate.PRESETS["transformer"]
    waves = dataclasses.replace(gpt, model=dataclasses.replace(gpt.model, positions="sinusoidal"))
    assert fixed_tables(waves)["sinusoidal positions"].shape == (gpt.data.length, gpt.model.features)
    turned = fixed_tables(pairs)["rotary positions"]
    np.testing.assert_allclose(turned[:, 0], np.cos(np.arange(len(turned))), atol=1e-5)
    assert fixed_tables(gpt) == fixed_tables(lm.PRESETS["char-lstm"]) == {}


def test_a_recurrent_model_has_no_positions_to_draw(run, tmp_path):
    said = seqjax("inspect", run, "--positions", tmp_path / "places")
    assert_refused(said, "no table of positions", "it has no positions")
    assert not (tmp_path / "places").exists()


def test_a_window_learns(ngram):
    assert losses(ngram, "valid")[-1] < losses(ngram, "valid")[0]


@pytest.mark.parametrize("layout, tokenizer", LAYOUTS)
def test_every_layout_and_tokenizer_trains(layout, tokenizer, tmp_path, text):
    kinds = ["--data.batches", layout, "--data.tokenizer", tokenizer, "--data.documents", "line"]
    size = ["--data.vocabulary", "270" if tokenizer == "bpe" else "60"]
    folder = trained_run(tmp_path / "run", text, *kinds, *size, steps=3, every=3)
    assert np.isfinite(losses(folder, "test")).all()
    assert read(folder / "metrics.jsonl")[-1]["word_perplexity"] > 1
    scored = seqjax("score", folder, stdin="The cat sat.\n")
    assert scored.out.endswith("\tThe cat sat.\n")


@pytest.mark.parametrize("cell", sorted({*cells.BY_NAME} - {"lstm", "elman", "gru"}))
def test_every_cell_trains(cell, tmp_path, text):
    folder = trained_run(tmp_path / "run", text, "--model.cell", cell, steps=2, every=2)
    assert np.isfinite(losses(folder, "test")).all()


@pytest.mark.parametrize(
    "words, shown",
    [
        ([sys.executable, ROOT / "train.py", "--help"], ["--out", "--steps", "--model.cell", "word-lstm"]),
        (["seqjax"], ["train", "evaluate", "generate", "score", "inspect"]),
        (["seqjax", "train", "--help"], ["--optimizer.learning-rate", "--data.path", "--config FILE", "ngram"]),
    ],
    ids=["train.py", "seqjax", "seqjax train"],
)
def test_help_is_there_from_a_terminal(words, shown, tmp_path):
    if words[0] == "seqjax":
        words = [sys.executable, "-c", "from seqjax.cli import main; main()", *words[1:]]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    for word in shown:
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def environment() -> dict[str, str]:
    """One device, and no terminal to be narrow."""
    return {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score", "inspect"])
def test_every_verb_has_help(verb):
    said = seqjax(verb, "--help")
    assert said.code == 0
    assert "RUN" in said.out


def test_the_run_is_found_behind_flags_that_name_other_things(run, tmp_path):
    assert task_named_in(["--lm", str(tmp_path), "--json", str(run)]).name == "lm"
    assert task_named_in(["--prompt", "x" * 300, str(run)]).name == "lm"
    (tmp_path / "config.json").write_text(json.dumps({"task": "tag", "preset": "bilstm", "config": {}}))
    assert task_named_in(["--lm", str(tmp_path), str(run)]).name == "lm"
    assert task_named_in(["--json", str(tmp_path)]).name == "tag"


def test_the_version_is_said():
    assert seqjax("--version").out.strip() == __import__("seqjax").__version__


def test_a_reader_that_has_seen_enough_is_no_error(capfd):
    def cut_off(words):
        raise BrokenPipeError

    duplicate = os.dup(1)
    try:
        with pytest.raises(SystemExit) as end:
            exit_with(cut_off, [])
    finally:
        os.dup2(duplicate, 1)
    assert end.value.code == 0


def test_an_interrupt_is_a_word_and_a_code():
    def interrupt(words):
        raise KeyboardInterrupt

    assert call(interrupt, []) == (130, "", "interrupted\n")


def test_reading_changes_nothing(run):
    before = snapshot(run)
    for said in (seqjax("inspect", run), seqjax("evaluate", run), seqjax("generate", run, "--max-tokens", 3)):
        assert said.code == 0
    assert_refused(seqjax("generate", run, "--temperature", 0), "temperature")
    assert snapshot(run) == before


def test_data_that_changed_since_a_run_began_is_named(tmp_path):
    (tmp_path / "texts").mkdir()
    text = tmp_path / "texts" / "story.txt"
    text.write_text(story(200))
    command = [*TINY, "--data.path", tmp_path / "texts", "--out", tmp_path / "run", "--evaluate-every", 2]
    assert "note:" not in training(*command, "--steps", 2).out
    assert "note:" not in training(*command, "--steps", 4).out
    assert "note:" not in seqjax("evaluate", tmp_path / "run").err
    text.write_text(story(200) + "One more line.\n")
    assert f"note: {text}: not what this run began with" in training(*command, "--steps", 6).out
    said = seqjax("evaluate", tmp_path / "run", "--json")
    assert f"note: {text}: not what" in said.err
    assert json.loads(said.out)["split"] == "test"
    assert "note:" not in seqjax("evaluate", tmp_path / "run", "--data.path", text).err
    text.write_text(story(200))
    (tmp_path / "texts" / "second.txt").write_text(story(20))
    assert f"note: {text.with_name('second.txt')}: not what" in seqjax("evaluate", tmp_path / "run").err
    text.unlink()
    assert "second.txt and 1 more: not what" in seqjax("evaluate", tmp_path / "run").err
