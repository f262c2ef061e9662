"""The task ``transcribe`` from the command line: train on sounds, transcribe, search with a language model, refuse."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training
from test_data_transcripts import write_wav

from seqjax.checks import InputError
from seqjax.data import DataConfig, train_tokenizer
from seqjax.decoding.prefix_beam import prefix_beam_search
from seqjax.models import LanguageModelConfig, whole_past
from seqjax.models.reading import BagReaderConfig
from seqjax.models.transcriber import RecurrentTranscriberConfig, transcriber, windows
from seqjax.tasks import transcribe_use
from seqjax.tasks.command import read_command
from seqjax.tasks.error_rates import edit_distance, error_rate, transcript_metrics
from seqjax.tasks.lm_use import LanguageModel, score_lines
from seqjax.tasks.transcribe import build, objective, use
from seqjax.tasks.transcribe_front import Material, possible
from seqjax.tasks.transcribe_lm import companion
from seqjax.tasks.transcribe_use import PredictTranscripts, TranscribeUse, predict
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

RATE = 2000
HERTZ = {"a": 200, "b": 450, "c": 800}
TINY = [
    "--batch-size", 8, "--data.buckets", 1, "--shown", 1, "--optimizer.warmup", 0, "--optimizer.learning-rate", 0.02,
    "--model.features", 16, "--model.dropout", 0, "--steps", 2, "--evaluate-every", 2,
]  # fmt: skip
SOUND = ["--data.sound.rate", RATE, "--data.sound.bands", 8, "--data.sound.window", 0.04, "--data.sound.hop", 0.02]
READERS = {
    "bilstm": ["--model.reader.features", 16, "--model.reader.dropout", 0],
    "transformer": ["--model.reader.features", 16, "--model.reader.heads", 2, "--model.reader.layers", 1],
}


def melody(text: str) -> np.ndarray:
    """A tone for every letter, a tenth of a second each, with a pause behind it."""
    time = np.arange(RATE // 10) / RATE
    tones = [0.5 * np.sin(2 * np.pi * HERTZ[letter] * time) for letter in text]
    noise = np.random.default_rng(len(text)).normal(scale=1e-3, size=(len(text), RATE // 20))
    return np.concatenate([part for pair in zip(tones, noise, strict=True) for part in pair])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Melodies, and a file that says what they are."""
    folder, random = tmp_path_factory.mktemp("melodies"), np.random.default_rng(0)
    texts = ["".join(random.choice([*HERTZ], size=random.integers(2, 5))) for _ in range(60)]
    for number, text in enumerate(texts):
        write_wav(folder / f"{number}.wav", melody(text), rate=RATE)
    (folder / "all.tsv").write_text("".join(f"{number}.wav\t{text}\n" for number, text in enumerate(texts)))
    return folder


def command(out, folder, preset: str, *words) -> list:
    """A small run on melodies; ``words`` come last and win."""
    data = ["--data.path", folder / "all.tsv", *SOUND] if folder else []
    return ["transcribe", preset, "--out", out, *data, *TINY, *READERS[preset], *words]


@pytest.fixture(scope="module")
def run(tmp_path_factory, folder) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("runs") / "melodies"
    said = training(*command(out, folder, "bilstm", "--steps", 120, "--evaluate-every", 60))
    assert said.code == 0, said.err
    return out


def test_it_learns_and_transcribes_what_it_never_heard(run, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    assert last["split"] == "test"
    assert last["cer"] <= 0.1
    assert {"loss", "wer", "exact_match"} <= last.keys()
    write_wav(tmp_path / "new.wav", melody("abbca"), rate=RATE)
    write_wav(tmp_path / "none.wav", np.zeros(9), rate=RATE)
    lines = f"{tmp_path}/new.wav\n{tmp_path}/none.wav\n"
    said = seqjax("predict", run, "--picture", tmp_path / "drawn", stdin=lines)
    assert (said.out, said.err) == ("abbca\n\n", "")
    assert (tmp_path / "drawn" / "0001.png").read_bytes().startswith(b"\x89PNG")
    said = seqjax("predict", run, "--beam", 4, "--n-best", 2, stdin=f"{tmp_path}/new.wav\n")
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1"]
    assert rows[0][2] == "abbca"
    assert float(rows[0][1]) > float(rows[1][1])


def test_evaluate_repeats_the_last_row_and_reads_other_files(run, folder, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "cer", "wer", "exact_match"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    longest = next(line for line in (folder / "all.tsv").read_text().splitlines() if len(line.split()[1]) == 4)
    (tmp_path / "other.tsv").write_text(f"{folder}/{longest.split()[0]}\tcacac\n{folder}/0.wav\tbcbcb\n")
    said = json.loads(seqjax("evaluate", run, "--json", "--data.path", tmp_path / "other.tsv", "--data.beam", 4).out)
    assert said["cer"] > 0.4
    assert said["exact_match"] == 0
    assert "skipped" not in said
    (tmp_path / "other.tsv").write_text(f"{folder}/0.wav\tbcbcb\n{folder}/gone.wav\ta\n{folder}/1.wav\t{'äö' * 30}\n")
    words = ["evaluate", run, "--json", "--data.path", tmp_path / "other.tsv"]
    assert_refused(seqjax(*words), "gone.wav", "other.tsv, line 2", "--data.skip-broken")
    assert_refused(seqjax("evaluate", run, "--data.skip-broken"), "its test split would hold what it was trained on")
    said = seqjax(*words, "--data.skip-broken")
    assert json.loads(said.out)["skipped"] == 2
    assert "left out: 1 broken recordings, 1 transcripts longer than their frames" in said.err


def test_what_predict_cannot_use_is_refused_or_skipped(run, folder, tmp_path):
    said = seqjax("predict", run, stdin=f"{folder}/0.wav\n{folder}/gone.wav\n")
    assert_refused(said, "line 2", "gone.wav", "no such sound file")
    said = seqjax("predict", run, "--skip-broken", stdin=f"{folder}/gone.wav\n{folder}/0.wav\n")
    assert said.out.splitlines()[0] == ""
    assert said.out.splitlines()[1]
    assert "1 of 2 recordings cannot be read" in said.err
    assert_refused(seqjax("predict", run, "--lm", run, stdin=""), "--beam 1 does not search", "--beam 16")
    assert_refused(seqjax("predict", run, "--lm", run, "--beam", 4, stdin=""), "the task transcribe", "one of lm")
    assert_refused(seqjax("predict", run, "--n-best", 2, stdin=""), "--n-best should lie between 1 and --beam, 1")
    assert_refused(seqjax("predict", run, "--beam", 0, stdin=""), "--beam should be at least 1")
    assert_refused(seqjax("predict", run, "--beam", 2, "--lm-weight", -1, stdin=""), "--lm-weight should be")


FILES = {
    "a missing recording": ("0.wav\ta\ngone.wav\ta\n", ["gone.wav", "all.tsv, line 2", "--data.skip-broken"]),
    "another rate": ("fast.wav\ta\n", ["fast.wav", "8,000 samples", "--data.sound.resample"]),
    "too long": ("0.wav\t" + "abc" * 40 + "\n", ["all.tsv, line 1", "needs 120 steps", "--model.factor"]),
    "one character": ("".join(f"{number}.wav\ta\n" for number in range(10)), ["one symbol"]),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_wrong_are_refused_and_leave_no_run(kind, tmp_path):
    text, words = FILES[kind]
    (tmp_path / "all.tsv").write_text(text)
    for number in range(10):
        write_wav(tmp_path / f"{number}.wav", melody("ab"), rate=RATE)
    write_wav(tmp_path / "fast.wav", melody("ab"), rate=4 * RATE)
    assert_refused(training(*command(tmp_path / "run", tmp_path, "bilstm")), *words)
    assert not (tmp_path / "run").exists()


def test_broken_lines_are_left_out_and_counted_when_asked(tmp_path, folder):
    (tmp_path / "all.tsv").write_text(
        (folder / "all.tsv").read_text().replace("\t", ".gone\t", 2).replace("59.wav", "")
    )
    for number in range(59):
        (tmp_path / f"{number}.wav").symlink_to(folder / f"{number}.wav")
    flags = ["--data.skip-broken"]
    config = read_command([str(word) for word in command(tmp_path / "run", tmp_path, "bilstm", *flags)]).config
    (tmp_path / "run").mkdir()
    told = dict(build(config, RunFolder(tmp_path / "run")).summary)
    assert told["left out"] == "2 broken recordings, 1 broken lines of train"
    assert told["recordings"].startswith("46 + 5 + 6")


def test_unknown_neighbours_need_a_blank_between_them():
    """``ab`` is two symbols on two frames; where neither is known both are <unk>, and the blank needs a third."""
    texts = ["ab", "cc", "cabc"]
    material = Material(
        {"train": [np.zeros((n, 4)) for n in (2, 3, 4)]}, {"train": texts}, {"train": [*"xyz"]}, None, {}
    )
    tokenizer = train_tokenizer(DataConfig(min_count=2), ["ccdd", "ab"])  # knows c and d
    with pytest.raises(InputError, match=r"x: the transcript 'ab' needs 3 steps \(2 symbols.*--data.min-count.* has 2"):
        possible(material, tokenizer, 1, skip=False)
    found = possible(material, tokenizer, 1, skip=True)
    assert found.texts["train"] == ["cc"]
    assert len(found.frames["train"]) == len(found.places["train"]) == 1
    assert found.skipped == {"train": {"transcripts longer than their frames": 2}}
    assert possible(material, train_tokenizer(DataConfig(), texts), 1, skip=False).texts == material.texts


def test_speech_that_cannot_be_made_here_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    said = training(*command(tmp_path / "run", None, "bilstm", "--data.source", "spoken"))
    assert_refused(said, "espeak-ng", "not on this machine")


def drawn(shapes):
    """Parameters of these shapes, without a compiled program."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: random.normal(scale=0.3, size=leaf.shape).astype(leaf.dtype), shapes)


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    """A job on strips of digits, and its use with parameters that were never trained."""
    folder = RunFolder(tmp_path_factory.mktemp("strips"))
    sizes = ["--data.strips.strips", 16, "--data.strips.held", 4, "--data.strips.digits", 1, 2]
    config = read_command([str(word) for word in command(folder.path, None, "transformer", *sizes)]).config
    built = build(config, folder)
    return built, use(config, folder, drawn)


def test_strips_are_other_ones_in_every_epoch_and_the_same_after_a_restart(strips):
    batches = strips[0].job.batches
    per_epoch = batches.steps_per_epoch
    first, again = batches[0], batches[0]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    seen = {}
    for step in range(2 * per_epoch):
        batch = batches[step]
        for row in np.flatnonzero(batch["real"]):
            seen.setdefault(int(batch["example"][row]), []).append(batch["frames"][row][batch["mask"][row]])
            assert (batch["transcript"][row] > 1).sum() in (1, 2)
    assert len(seen) == 16
    assert all(one.shape == other.shape and not np.array_equal(one, other) for one, other in seen.values())
    assert dict(strips[0].summary)["symbols"].startswith("10 characters")


def test_strips_that_leave_too_few_steps_are_refused(tmp_path):
    said = training(*command(tmp_path / "run", None, "bilstm", "--model.factor", 6))
    assert_refused(said, "`factor` 6 leaves 11 steps of 8 digits", "may need 15", "--model.factor 4")


def test_the_loss_is_counted_in_symbols_and_rows_that_cannot_be_are_not(strips):
    objective, batch = strips[0].job.objective, dict(strips[0].job.batches[0])
    before = int(objective.counts(batch)["negative_log_likelihood"])
    assert before == (batch["transcript"] != 0).sum()
    lost = int((batch["transcript"][0] != 0).sum())
    batch["mask"] = batch["mask"] & (np.arange(len(batch["mask"])) > 0)[:, None]
    assert int(objective.counts(batch)["negative_log_likelihood"]) == before - lost


def test_half_precision_has_a_gradient_of_its_own_kind():
    functions = transcriber(RecurrentTranscriberConfig(), 8, 12)
    terms = objective(functions).terms
    batch = {"frames": np.zeros((4, 64, 8), np.float32), "mask": np.ones((4, 64), bool)}
    batch["transcript"] = np.ones((4, 5), np.int32)

    def loss(key):
        params = jax.tree.map(lambda leaf: leaf.astype("bfloat16"), functions.init(key))
        return jax.grad(lambda params: terms(params, batch, None, None, True)[0]["negative_log_likelihood"])(params)

    found = jax.eval_shape(loss, jax.random.key(0))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(found)} == {"bfloat16"}


def test_pictures_are_transcribed(strips, tmp_path):
    np.save(tmp_path / "digit.npy", np.zeros((8, 11)))
    lines = [str(tmp_path / "digit.npy")] * 3
    made = list(predict(strips[1], lines, PredictTranscripts()))
    assert len(made) == 3
    assert made[0] == made[1] == made[2]
    assert set(made[0]) <= set("0123456789\N{REPLACEMENT CHARACTER}")
    assert list(predict(strips[1], [], PredictTranscripts())) == []


def test_a_language_model_adds_what_it_says_of_whole_transcripts():
    symbols = train_tokenizer(DataConfig(), ["abc"])
    own = train_tokenizer(DataConfig(), ["xyz cba"])
    model = whole_past(LanguageModelConfig(features=4), own.size, carried=False)
    lm = LanguageModel(model, own, drawn(jax.eval_shape(model.init, jax.random.key(0))))
    random = np.random.default_rng(0)
    log_probs = np.log(random.dirichlet(np.ones(symbols.size), size=4))
    alone = {one.symbols: one for one in prefix_beam_search(log_probs, beam=200, n_best=200)}
    found = prefix_beam_search(log_probs, beam=16, n_best=5, companion=companion(lm, symbols), weight=0.5)
    texts = [symbols.decode(np.array(one.symbols, np.int32)) for one in found]
    for one, told in zip(found, score_lines(lm, texts), strict=True):
        assert one.score == pytest.approx(one.log_probability + 0.5 * told.log_probability, abs=1e-4)
        assert one.log_probability <= alone[one.symbols].log_probability + 1e-9
        assert symbols.unknown not in one.symbols
    with pytest.raises(ValueError, match=r"--lm: the language model \(char\) has no symbol of its own for 'é'"):
        companion(lm, train_tokenizer(DataConfig(), ["abé"]))
    pieces = train_tokenizer(DataConfig(tokenizer="bpe", vocabulary=260), ["ab ab ab"])
    with pytest.raises(ValueError, match=r"--lm: the language model should read characters one by one.*\(bpe\)"):
        companion(lm._replace(tokenizer=pieces), symbols)


def slowly(a, b) -> int:
    """Edit distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(slowly(a[1:], b) + 1, slowly(a, b[1:]) + 1, slowly(a[1:], b[1:]) + (a[0] != b[0]))


def test_edits_are_as_few_as_can_be():
    random = np.random.default_rng(0)
    for _ in range(40):
        a, b = ("".join(random.choice([*"abc"], size=random.integers(0, 6))) for _ in range(2))
        assert edit_distance(a, b) == slowly(a, b)
    assert error_rate([], []) == 0
    assert error_rate(["aaa"], ["b"]) == 3
    assert transcript_metrics(["", "a b"], ["x", "a b"]) == {"cer": 0.25, "wer": 1 / 3, "exact_match": 0.5}


def test_a_learned_window_is_a_linear_map_and_a_bend():
    how = RecurrentTranscriberConfig(reader=BagReaderConfig(), factor=2, width=4, features=3)
    model = transcriber(how, 2, 5)
    params = drawn(jax.eval_shape(model.init, jax.random.key(0)))
    frames = np.random.default_rng(0).normal(size=(1, 6, 2)).astype(np.float32)

    def both(params, batch):
        seen = windows(batch["frames"], batch["mask"], 2, 4)[0]
        bent = jax.nn.gelu(seen @ params["convolution"]["kernel"] + params["convolution"]["bias"])
        return model.read(params, batch)[0], bent @ params["head"]["kernel"] + params["head"]["bias"]

    found, wanted = jax.jit(both)(params, {"frames": frames, "mask": np.ones((1, 6), bool)})
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_a_search_is_asked_for_reaches_it(monkeypatch):
    class Heard(TranscribeUse):
        def posteriors(self, frames):
            return frames

    asked = []
    monkeypatch.setattr(transcribe_use, "prefix_beam_search", lambda scores, **how: asked.append((scores, how)))
    how = PredictTranscripts(beam=4, n_best=2, lm_weight=0.25, length_bonus=0.75)
    Heard(None, None, None, None).search(["scores"], how, "reads along", 2)
    wanted = {"beam": 4, "n_best": 2, "blank": 0, "companion": "reads along", "weight": 0.25, "length_bonus": 0.75}
    assert asked == [("scores", wanted)]
