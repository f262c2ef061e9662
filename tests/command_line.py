"""Use the command line as a stranger would: words in; exit code, standard output and standard error out."""

import contextlib
import hashlib
import io
import random
import sys
from pathlib import Path
from typing import NamedTuple

import train
from seqjax import cli
from seqjax.process import exit_with
from seqjax.training.journal import read

TINY = ["--model.features", "16", "--batch-size", "8", "--data.length", "8", "--sample-tokens", "0"]


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def call(function, words, stdin: str | bytes = "") -> Said:
    """Run one command in this process, as its entry point does."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            exit_with(function, [str(word) for word in words])
    except SystemExit as end:
        return Said(end.code or 0, out.getvalue(), err.getvalue())
    finally:
        sys.stdin = before
    raise AssertionError("a command should end with an exit code")


def seqjax(*words, stdin: str | bytes = "") -> Said:
    """``seqjax VERB …``."""
    return call(cli.command, words, stdin)


def training(*words) -> Said:
    """``python train.py …``."""
    return call(train.main, words)


def story(sentences: int = 400, seed: int = 0) -> str:
    """Sentences of few words, so that little training is enough."""
    draw = random.Random(seed)
    nouns, verbs, places = ("cat", "dog", "old man", "queen"), ("sat", "slept", "sang"), ("mat", "hill", "roof")
    lines = (f"The {draw.choice(nouns)} {draw.choice(verbs)} on the {draw.choice(places)}." for _ in range(sentences))
    return "\n".join(lines) + "\n"


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` and a digest of what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_own_splits(folder: Path) -> None:
    """The last row is of the test split, and the validation of the same parameters was of another."""
    *before, last = read(folder / "metrics.jsonl")
    losses = [row["loss"] for row in before if (row["split"], row["step"]) == ("valid", last["step"])]
    assert last["split"] == "test"
    assert losses
    assert last["loss"] not in losses


def assert_refused(said: Said, *words: str) -> None:
    """Exit code 2, one message on standard error that holds ``words``, and no traceback."""
    assert said.code == 2, said
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err, f"{word!r} should be in: {said.err}"
    assert said.err.count("error: ") == 1 or "For full helptext" in said.err, said.err
