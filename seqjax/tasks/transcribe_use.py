"""Use a transcriber: transcripts of recordings, greedily or by a search with a language model; pictures of both.

S steps, K symbols, the blank (id 0) among them.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, Tokenizer, example_batches
from seqjax.decoding.prefix_beam import Companion, Transcript, prefix_beam_search
from seqjax.models.transcriber import TranscribeModel
from seqjax.ops.ctc import ctc_greedy
from seqjax.tasks.contract import check_own_split
from seqjax.tasks.error_rates import transcript_metrics
from seqjax.tasks.transcribe_front import Front

BLANK = 0
ROWS = 64  # recordings read in one call, at most


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How transcripts are searched for."""

    beam: int = 1  # prefixes kept at every step; 1: greedy, what the likeliest path writes
    lm: str = ""  # folder of a run of the task lm, over the same characters, that reads along; needs a beam
    lm_weight: float = 0.5  # how much the language model counts beside the frames
    length_bonus: float = 0.0  # nats for every symbol: makes up for a language model that likes short texts

    def __post_init__(self):
        if self.beam < 1:
            raise InputError(f"--beam should be at least 1 prefix, but it is {self.beam}. 1 is greedy.")
        if self.beam == 1 and (self.lm or self.length_bonus):
            raise InputError(
                "--lm and --length-bonus weigh what a search finds, and --beam 1 does not search. Try --beam 16."
            )
        if not (np.isfinite(self.lm_weight) and self.lm_weight >= 0 and np.isfinite(self.length_bonus)):
            raise InputError(
                f"--lm-weight should be a number at or above 0 and --length-bonus a number of nats, but they are "
                f"{self.lm_weight} and {self.length_bonus}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranscriptsOption(Search):
    """Which recordings, and how to search."""

    path: tuple[str, ...] = ()  # files of RECORDING TAB text; default: the run's own test split
    skip_broken: bool = False  # leave broken lines and recordings out, and count them

    def __post_init__(self):
        super().__post_init__()
        check_own_split(self, ("skip_broken",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictTranscripts(Search):
    """Transcribe the recordings whose paths stand on standard input, one a line, with the best checkpoint of a run.

    Recordings are WAV files; of a run on handwritten digits, pictures (PNG, JPEG, .npy) that are 8 pixels high.
    """

    n_best: int = 1  # lines out for each line in, when above 1 as NUMBER TAB LOG-PROBABILITY TAB TEXT
    skip_broken: bool = False  # an empty line for a recording that cannot be read, instead of refusing all
    picture: str = ""  # folder for pictures of how likely every symbol, and the blank, is at each step

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.n_best <= self.beam:
            raise InputError(
                f"predict: --n-best should lie between 1 and --beam, {self.beam}, but it is {self.n_best}. "
                f"Try --beam {max(self.n_best, 1)}."
            )


class TranscribeUse(NamedTuple):
    """A model, how recordings become its frames, its symbols, and its parameters."""

    model: TranscribeModel
    front: Front
    tokenizer: Tokenizer
    params: Any

    def posteriors(self, frames: Sequence[np.ndarray], buckets: int | Sequence[int] = 6) -> list[np.ndarray]:
        """Of each recording, log-probabilities (S, K) in nats; recordings of like length are read together."""
        return [scores[:count] for scores, count in self._read(_scored(self.model), frames, buckets)]

    def greedy(self, frames: Sequence[np.ndarray], buckets: int | Sequence[int] = 6) -> list[str]:
        """What the likeliest path of each recording writes."""
        found = self._read(_written(self.model), frames, buckets)
        return [self.tokenizer.decode(ids[:count]) for ids, count in found]

    def search(
        self, frames: Sequence[np.ndarray], options: Search, companion: Companion | None = None, n_best: int = 1
    ) -> list[list[Transcript]]:
        """The best transcripts of each recording, best first."""
        how: dict[str, Any] = {"beam": options.beam, "n_best": n_best, "blank": BLANK, "companion": companion}
        how |= {"weight": options.lm_weight, "length_bonus": options.length_bonus}
        return [prefix_beam_search(scores, **how) for scores in self.posteriors(frames)]

    def transcribe(self, frames: Sequence[np.ndarray], options: Search, buckets: int | Sequence[int] = 6) -> list[str]:
        """The text of each recording."""
        if options.beam == 1:
            return self.greedy(frames, buckets)
        found = self.search(frames, options, self.companion(options))
        return [self.tokenizer.decode(np.array(one[0].symbols, np.int32)) for one in found]

    def companion(self, options: Search) -> Companion | None:
        """The language model that reads along, if one is named."""
        from seqjax.tasks.transcribe_lm import companion, open_language_model

        return companion(open_language_model(options.lm), self.tokenizer) if options.lm else None

    def _read(self, run, frames: Sequence[np.ndarray], buckets) -> list[tuple[np.ndarray, int]]:
        """What ``run`` says of every recording, as (array, count) a row."""
        found: list[tuple[np.ndarray, int]] = [(np.zeros((0, self.tokenizer.size), np.float32), 0)] * len(frames)
        if not frames:
            return found
        few = min(ROWS, 1 << (len(frames) - 1).bit_length())
        rows = few if isinstance(buckets, int) else ROWS  # lengths of training: no other shape is to be compiled
        batches = example_batches(Examples({"frames": frames}, {}), rows=rows, train=False, buckets=buckets)
        for batch in map(batches.__getitem__, range(len(batches))):
            values, counts = jax.device_get(run(self.params, {name: batch[name] for name in ("frames", "mask")}))
            for row in np.flatnonzero(batch["real"]):
                found[batch["example"][row]] = values[row], int(counts[row])
        return found


@functools.lru_cache(maxsize=8)
def _scored(model: TranscribeModel) -> Callable[..., Any]:
    def run(params, batch):
        logits, mask = model.read(params, batch)
        return jax.nn.log_softmax(logits.astype(jnp.float32)), mask.sum(axis=1)

    return jax.jit(run)


@functools.lru_cache(maxsize=8)
def _written(model: TranscribeModel) -> Callable[..., Any]:
    return jax.jit(lambda params, batch: ctc_greedy(*model.read(params, batch)))


def predict(use: TranscribeUse, lines: list[str], options: PredictTranscripts) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    companion = use.companion(options)
    values, broken = [], 0
    for number, line in enumerate(lines, 1):
        try:
            values.append(use.front.medium.read(Path(line)))
        except InputError as error:
            if not options.skip_broken:
                said = f"{str(error).removeprefix('data: ').rstrip('.')}. Mend it"
                raise InputError(f"line {number}: {said}, or leave its line empty: --skip-broken.") from None
            values.append(use.front.nothing)
            broken += 1
    if broken:
        print(f"{broken} of {len(lines)} recordings cannot be read: their lines are empty", file=sys.stderr)
    frames = use.front.frames(values)
    if options.picture:
        save_pictures(use, frames, Path(options.picture))
    if options.beam == 1:
        yield from use.greedy(frames)
        return
    for number, found in enumerate(use.search(frames, options, companion, options.n_best), 1):
        for one in found:
            text = use.tokenizer.decode(np.array(one.symbols, np.int32))
            yield text if options.n_best == 1 else f"{number}\t{one.score:.4f}\t{text}"


def save_pictures(use: TranscribeUse, frames: Sequence[np.ndarray], folder: Path) -> None:
    """Draw how likely every symbol is at each step of each recording: FOLDER/0001.png, …"""
    from seqjax.plots.ctc import posteriors

    names = ["blank", *use.tokenizer.pieces(range(1, use.tokenizer.size))]
    folder.mkdir(parents=True, exist_ok=True)
    for number, (seen, scores) in enumerate(zip(frames, use.posteriors(frames), strict=True), 1):
        if len(scores):
            shown = seen if use.front.first_on_top else seen[:, ::-1]
            figure = posteriors(np.exp(scores), names, frames=shown, factor=use.model.factor)
            figure.savefig(folder / f"{number:04d}.png")
            figure.clear()


def show(
    use: TranscribeUse, frames: Sequence[np.ndarray], texts: Sequence[str], buckets: Sequence[int]
) -> Callable[[Any, int], str]:  # fmt: skip
    """``(params, step) -> text``: some recordings, what is said, and what is written where that differs."""

    def draw(params, step: int) -> str:
        made = use._replace(params=params).greedy(frames, buckets)
        return "\n".join(text if text == own else f"{text} ≠ {own}" for text, own in zip(texts, made, strict=True))

    return draw


def examine(
    use: TranscribeUse, frames: Mapping[str, Sequence[np.ndarray]], texts: Mapping[str, Sequence[str]], buckets
):  # fmt: skip
    """``(params, split) -> metrics`` of greedy transcripts: see :func:`transcript_metrics`."""

    def measure(params, split: str) -> dict[str, float]:
        made = use._replace(params=params).greedy(frames[split], buckets)
        return transcript_metrics(made, texts[split])

    return measure
