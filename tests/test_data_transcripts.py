"""Sound files, strips of digits, speech made by espeak-ng, and files that name recordings and what is said in them."""

import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import spoken
from seqjax.data.digit_strips import DigitStrips, read_strip
from seqjax.data.sound import read_sound, read_wav, resampled
from seqjax.data.transcript_config import SoundConfig, SpokenConfig, StripsConfig, TranscriptsConfig
from seqjax.data.transcripts import deal, read_recording_files, read_recordings, sound_medium

RATE = 4000
TINY = SoundConfig(rate=RATE, bands=4)


def write_wav(path: Path, samples: np.ndarray, *, width: int = 2, rate: int = RATE) -> Path:
    """Samples (N,) or (N, channels) in [-1, 1) as PCM of ``width`` bytes."""
    whole = np.round(samples * 2 ** (8 * width - 1)).astype(np.int64)
    whole = whole + 128 if width == 1 else whole
    data = whole.reshape(-1, 1).astype("<i8").view(np.uint8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def tone(seconds: float = 0.2, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_every_width_are_read_and_channels_are_averaged(tmp_path, width):
    wanted = np.stack([tone(), -0.5 * tone()], axis=1)
    samples, rate = read_wav(write_wav(tmp_path / "a.wav", wanted, width=width))
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, wanted.mean(axis=1), atol=max(2.0 ** -(8 * width - 1), 1e-7))


def test_another_rate_is_refused_or_resampled(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(rate=RATE), rate=RATE)
    with pytest.raises(
        InputError, match=r"a.wav has 4,000 samples a second, but 3,000 are wanted. Try --data.sound.re"
    ):
        read_sound(path, rate=3000)
    found = read_sound(path, rate=3000, resample=True)
    np.testing.assert_allclose(found[50:-50], tone(rate=3000)[50:-50], atol=2e-3)
    assert len(resampled(np.zeros(5, np.float32), 8000, 16000)) == 10


BROKEN = {
    "missing": (None, "there is no such sound file"),
    "no sound": (b"ID3 this is no WAV", "no PCM WAV file.*ffmpeg"),
    "empty": (b"", "no PCM WAV file"),
    "floats": (b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\3\0\1\0\xa0\x0f\0\0\x80\x3e\0\0\4\0\x20\0data\0\0\0\0", "PCM"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_sound_files_are_named(tmp_path, kind):
    data, said = BROKEN[kind]
    if data is not None:
        (tmp_path / "b.wav").write_bytes(data)
    with pytest.raises(InputError, match=rf"b\.wav.*{said}"):
        read_wav(tmp_path / "b.wav")


def test_sounds_that_are_cut_off_or_hold_nothing_are_named(tmp_path):
    path = write_wav(tmp_path / "cut.wav", tone())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.wav is cut off: it should hold 800 samples, but it holds 750"):
        read_wav(path)
    with pytest.raises(InputError, match="holds no sample"):
        read_wav(write_wav(tmp_path / "none.wav", np.zeros(0)))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four recordings, of which some lines of ``all.tsv`` say what cannot be."""
    write_wav(tmp_path / "a.wav", tone(0.2))
    write_wav(tmp_path / "short.wav", tone(0.04))
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    return tmp_path


LINES = {
    "b.wav\tone": r"b\.wav: there is no such sound file. It is named in .*all\.tsv, line 2.*--data.skip-broken",
    "broken.wav\tone": r"broken\.wav is no PCM WAV.*all\.tsv, line 2",
    "a.wav": r"all\.tsv, line 2 should be `RECORDING TAB text`, but it has 1 column",
    "a.wav\t ": r"all\.tsv, line 2 should be .* has an empty column",
    "short.wav\tee": r"all\.tsv, line 2: the transcript 'ee' needs 3 steps .* has 1 \(2 frames.*--model.factor",
}


@pytest.mark.parametrize("line", LINES)
def test_lines_that_cannot_be_used_are_refused_or_left_out_and_counted(folder, line):
    (folder / "all.tsv").write_text(f"a.wav\tone\n{line}\n{folder}/a.wav\tTWO\n")
    medium, paths = sound_medium(TINY), [str(folder / "all.tsv")]
    with pytest.raises(InputError, match=LINES[line]):
        read_recording_files(paths, TranscriptsConfig(path=("x",)), medium, 2)
    found, skipped = read_recording_files(
        paths, TranscriptsConfig(path=("x",), skip_broken=True, lower=True), medium, 2
    )  # fmt: skip
    assert [one.text for one in found] == ["one", "two"]
    assert list(skipped.values()) == [1]


def test_nothing_but_broken_lines_is_refused(folder):
    (folder / "all.tsv").write_text("b.wav\tone\n")
    config = TranscriptsConfig(path=(str(folder / "all.tsv"),), skip_broken=True, sound=TINY)
    with pytest.raises(InputError, match=r"all\.tsv names no recording that can be used: 1 broken recordings"):
        read_recordings(config, 2)


def test_recordings_are_dealt_to_splits_or_come_from_files_of_their_own(folder):
    for text in "abcdefghij":
        (folder / f"of-{text}.wav").write_bytes((folder / "a.wav").read_bytes())
    (folder / "all.tsv").write_text("".join(f"of-{text}.wav\t{text}\n" for text in "abcdefghij"))
    (folder / "own.tsv").write_text("a.wav\tx\n")
    config = TranscriptsConfig(path=(str(folder / "all.tsv"),), sound=TINY)
    splits = read_recordings(config, 2)
    assert [len(part) for part in splits[:3]] == [8, 1, 1]
    assert sorted(one.text for part in splits[:3] for one in part) == list("abcdefghij")
    own = TranscriptsConfig(path=config.path, test_path=(str(folder / "own.tsv"),), sound=TINY)
    splits = read_recordings(own, 2)
    assert [len(part) for part in splits[:3]] == [9, 1, 1]
    assert splits.test[0].text == "x"
    (folder / "few.tsv").write_text("a.wav\tab\na.wav\tb\n")
    with pytest.raises(InputError, match="validation split is empty"):
        read_recordings(TranscriptsConfig(path=(str(folder / "few.tsv"),), sound=TINY), 2)
    assert deal([], [0.5, 0.5]) == [[], []]


def test_speech_is_made_once_by_a_command_that_names_voice_speed_and_pitch(tmp_path):
    asked = []

    def run(words):
        asked.append(words)
        write_wav(Path(words[words.index("-w") + 1]), tone(0.5, 22_050), rate=22_050)

    utterances = [one for part in spoken.write_utterances(SpokenConfig(utterances=3, held=1)) for one in part]
    first = spoken.speak(utterances, tmp_path, run=run)
    assert spoken.speak(utterances, tmp_path, run=run) == first
    assert len(asked) == len(set(first)) == 5
    assert asked[0][0] == "espeak-ng"
    assert asked[0][-1] == utterances[0].text
    assert len(read_sound(first[0], rate=16_000, resample=True)) == 8000


ESPEAK = """#!{python} -SE
import getopt, struct, sys
options, words = getopt.getopt(sys.argv[1:], "v:s:p:w:")
options = dict(options)
if options["-v"] != "en":
    sys.exit("Error: The specified espeak-ng voice does not exist.")
if words[0] == "quiet":  # a voice without its phonemes: nothing is written, and all is well
    sys.exit()
count = 0 if words[0] == "empty" else 22050 * len(words[0]) // 20 // (int(options["-s"]) // 100)
form = struct.pack("<LHHLLHH", 16, 1, 1, 22050, 44100, 2, 16)
head = b"RIFF" + struct.pack("<L", 36 + 2 * count) + b"WAVEfmt " + form + b"data" + struct.pack("<L", 2 * count)
with open(options["-w"], "wb") as file:
    file.write(head + bytes([0, 64]) * count)
"""


@pytest.fixture
def espeak(tmp_path, monkeypatch) -> Path:
    """A program that takes espeak-ng's flags and does with them what it does; a folder for its files."""
    program = tmp_path / "bin" / "espeak-ng"
    program.parent.mkdir()
    program.write_text(ESPEAK.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return tmp_path / "said"


def test_what_espeak_says_is_read_kept_and_made_again_if_it_broke(espeak):
    said = spoken.Utterance("one two", "en", 150, 50)
    [path] = spoken.speak([said], espeak)
    assert [*espeak.iterdir()] == [path]
    samples = read_sound(path, rate=16_000, resample=True)
    assert len(samples) == pytest.approx(0.35 * 16_000, abs=2)
    assert samples.mean() == pytest.approx(0.5, abs=0.01)
    whole = path.read_bytes()
    path.write_bytes(whole[:60])  # as a full disk leaves it
    assert spoken.speak([said], espeak) == [path]
    assert path.read_bytes() == whole


FAILURES = {
    (
        "one",
        "xx+f2",
    ): r"-v xx\+f2 .* failed: Error: The specified espeak-ng voice does not exist\. Does it know .*'xx\+f2'",
    (
        "quiet",
        "en",
    ): r"-w .* wrote no sound: .*there is no such sound file\. Does it know the voice 'en' .*spoken\.voices",
    ("empty", "en"): r"wrote no sound: .* holds no sample\. Does it know the voice 'en'.*--voices=variant",
}


@pytest.mark.parametrize(("text", "voice"), FAILURES)
def test_a_voice_that_says_nothing_is_named_and_leaves_no_file(espeak, text, voice):
    with pytest.raises(InputError, match=FAILURES[text, voice]):
        spoken.speak([spoken.Utterance(text, voice, 150, 50)], espeak)
    assert [*espeak.iterdir()] == []


def test_a_program_that_cannot_be_started_is_named(espeak):
    program = espeak.parent / "bin" / "espeak-ng"
    program.write_text("#!/there/is/no/such/program\n")
    with pytest.raises(InputError, match="espeak-ng cannot be started: No such file"):
        spoken.speak([spoken.Utterance("one", "en", 150, 50)], espeak)


def test_a_machine_without_espeak_is_told_so(monkeypatch):
    monkeypatch.setattr(spoken.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"needs the program espeak-ng.*apt install espeak-ng.*--data.path"):
        read_recordings(TranscriptsConfig(source="spoken"), 2)


def test_strips_are_drawn_anew_by_epoch_and_test_strips_hold_test_digits():
    config = StripsConfig(strips=6, held=4, digits=(2, 3))
    train, test = DigitStrips(config, "train"), DigitStrips(config, "test")
    one, same, other = train.draw(2, 1), train.draw(2, 1), train.draw(2, 3)
    assert np.array_equal(one.columns, same.columns)
    assert one.columns.shape == other.columns.shape == (train.lengths[2], 8)
    assert not np.array_equal(one.columns, other.columns)
    drawn = test.draw(0)
    assert len(drawn.columns) == test.lengths[0]
    assert len(drawn.text) == test.counts[0]
    ink = np.flatnonzero(drawn.columns.sum(axis=1))
    assert ink[-1] - ink[0] < len(drawn.columns)
    inked = [picture for picture in test.digits.pictures if picture[:, 0].any()]
    assert all(picture.shape == (8, 8) for picture in inked)


def test_pictures_of_strips_are_read_whichever_tone_is_paper(tmp_path):
    from PIL import Image

    columns = DigitStrips(StripsConfig(strips=1, held=1), "test").draw(0).columns
    for name, tones in (("white.png", 1 - columns), ("black.png", columns)):
        Image.fromarray(np.round(255 * tones.T).astype(np.uint8)).save(tmp_path / name)
        np.testing.assert_allclose(read_strip(tmp_path / name), columns, atol=0.003)
    np.save(tmp_path / "numbers.npy", columns.T)
    np.testing.assert_array_equal(read_strip(tmp_path / "numbers.npy"), columns)
    Image.fromarray(np.zeros((9, 20), np.uint8)).save(tmp_path / "tall.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "white.png").read_bytes()[:60])
    (tmp_path / "torn.npy").write_bytes(b"no numbers")
    np.save(tmp_path / "nan.npy", np.full((8, 3), np.nan))
    for name, said in (
        ("tall.png", r"8 rows of pixels, but it is \(9, 20\)"), ("torn.png", "no picture"), ("torn.npy", "broken"),
        ("nan.npy", "not finite"), ("gone.png", "no such picture"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"{name.replace('.', '[.]')}.*{said}"):
            read_strip(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (StripsConfig, {"digits": (3, 2)}, "`digits`"),
        (StripsConfig, {"noise": -1.0}, "`noise`"),
        (SpokenConfig, {"voices": ()}, "`voices`"),
        (SpokenConfig, {"pitch": (0, 200)}, "`pitch`"),
        (SoundConfig, {"hop": 0.0}, "`hop`"),
        (TranscriptsConfig, {"valid_path": ("x",)}, "nothing to train on"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(kind, wrong, said):
    with pytest.raises(InputError, match=said):
        kind(**wrong)
