"""Use a captioner: say what is in files, with a beam, n-best lists and maps of where it looked; score captions.

N pictures of Y × X pixels and C channels, T symbols, P patches.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import LabelList, Tokenizer
from seqjax.data.caption_config import Caption, Pictured
from seqjax.data.picture_files import PictureError, read_picture
from seqjax.models.pair_model import PairModel
from seqjax.models.pure import of_targets
from seqjax.tasks.caption_pictures import draw_looks, write_examples
from seqjax.tasks.hypotheses import BOUNDARY, Hypothesis, Searched, search
from seqjax.tasks.lm_use import LineScore
from seqjax.tasks.text_metrics import bleu_of_many, exact_match, has_sacrebleu
from seqjax.training.folder import RunFolder

FEW, ROWS = 8, 64  # pictures described in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictCaptions(Searched):
    """Say what is in the pictures whose paths are the lines of standard input, with the best checkpoint of a run."""

    language: str = ""  # of the captions, one that the run was trained on; default: the first of them
    max_tokens: int = 0  # symbols of a caption at most; 0: as many as the run was trained on
    attention: str = ""  # folder for pictures of where the model looked, word by word
    skip_broken: bool = False  # leave the line of a missing or broken picture empty, and count it

    def __post_init__(self):
        super().__post_init__()
        if self.max_tokens < 0:
            raise InputError(f"predict: --max-tokens should be at least 1, but it is {self.max_tokens}.")


class Describer(NamedTuple):
    """A model, what it knows of symbols, languages and pictures, and its parameters."""

    model: PairModel
    tokenizer: Tokenizer
    languages: LabelList
    config: Any  # of the run
    params: Any

    def encode(self, captions: Sequence[Caption], most: int) -> list[np.ndarray]:
        """Ids of each caption, refused where there are more than ``most`` of them."""
        ids = self.tokenizer.encode_documents([caption.text for caption in captions])
        for caption, row in zip(captions, ids, strict=True):
            if len(row) > most:
                raise InputError(
                    f"data: a caption of {caption.image} has {len(row)} symbols, but --data.longest is {most}. Shorten "
                    "it, or raise --data.longest (before training)."
                )
        return ids

    def openings(self, captions: Sequence[Caption]) -> np.ndarray:
        """What opens each caption: the id of its language, or of nothing where the run knows of none; (N,) int32."""
        if not len(self.languages):
            return np.full(len(captions), BOUNDARY, np.int32)
        for caption in captions:
            if caption.language not in self.languages.ids:
                what = f"is in {caption.language!r}" if caption.language else "does not say its language"
                raise InputError(
                    f"data: a caption of {caption.image} {what}, but the run was trained on captions in "
                    f"{', '.join(self.languages.names)}."
                )
        return np.array([self.opening(caption.language) for caption in captions], np.int32)

    def opening(self, language: str) -> int:
        """The id that opens a caption in this language; "": in the first there is."""
        if not len(self.languages):
            if language:
                raise InputError(f"predict: --language {language}: the captions of this run did not name a language.")
            return BOUNDARY
        known = self.languages.encode([language or self.languages.names[0]], "predict: --language")
        return self.tokenizer.size + int(known[0])

    def describe(self, pictures: np.ndarray, opening: np.ndarray, options: Searched) -> list[list[Hypothesis]]:
        """The best captions of pictures (N, Y, X, C), each opened by an id (N,); best first."""
        most = min(getattr(options, "max_tokens", 0) or self.config.data.longest + 1, self.config.data.longest + 1)
        rows = ROWS if len(pictures) > FEW else FEW  # two shapes, whatever is asked
        found: list[list[Hypothesis]] = []
        for first in range(0, len(pictures), rows):
            source, last = pictures[first : first + rows], opening[first : first + rows]
            missing = rows - len(source)
            inputs = self.inputs(np.concatenate([source, np.zeros((missing, *source.shape[1:]), source.dtype)]))
            last = np.append(last, np.zeros(missing, last.dtype))
            found += search(self.model, self.params, inputs, last, most, options)[: rows - missing]
        return found

    def inputs(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """What the model starts from: pictures (N, Y, X, C) all of whose patches are real."""
        side = self.config.model.picture.patch
        patches = (pictures.shape[1] // side) * (pictures.shape[2] // side)
        return {"source": pictures, "source_mask": np.ones((len(pictures), patches), bool)}

    def text(self, ids: np.ndarray) -> str:
        """The caption; what is no symbol of captions, a language, is left out."""
        return self.tokenizer.decode(ids[ids < self.tokenizer.size])

    def batch(self, pictures: np.ndarray, opening: np.ndarray, ids: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Pictures and captions for the model to read and to predict, in one array of each."""
        steps = max(len(row) for row in ids) + 1
        steps = -(-steps // 8) * 8
        inputs, targets = np.zeros((len(ids), steps), np.int32), np.zeros((len(ids), steps), np.int32)
        mask = np.arange(steps) < np.array([[len(row) + 1] for row in ids])
        for row, (first, own) in enumerate(zip(opening, ids, strict=True)):
            inputs[row, : len(own) + 1] = [first, *own]
            targets[row, : len(own)] = own
        return self.inputs(pictures) | {"inputs": inputs, "targets": targets, "mask": mask}


def predict(describer: Describer, lines: list[str], options: PredictCaptions) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    opening = describer.opening(options.language)
    pictures, broken = _read_all(describer, [line.strip() for line in lines], options.skip_broken)
    if broken:
        print(f"{len(broken)} of {len(lines)} pictures are missing or broken: their lines are empty", file=sys.stderr)
    openings = np.full(len(pictures), opening, np.int32)
    found = iter(describer.describe(pictures, openings, options) if len(pictures) else [])
    drawn = iter(pictures)
    for number in range(1, len(lines) + 1):
        if number in broken:
            yield ""
            continue
        picture, hypotheses = next(drawn), next(found)
        texts = [describer.text(one.ids) for one in hypotheses]
        if options.attention and hypotheses:
            draw_looks(describer, picture, opening, hypotheses[0].ids, Path(options.attention), f"{number:04d}")
        if options.n_best == 1:
            yield texts[0] if texts else ""
            continue
        for text, one in zip(texts, hypotheses, strict=True):
            yield f"{number}\t{one.log_probability:.4f}\t{text}"


def _read_all(describer: Describer, paths: Sequence[str], skip: bool) -> tuple[np.ndarray, dict[int, str]]:
    """Pictures (N, Y, X, C) from 0 to 1; and of lines without one, counted from 1, why."""
    data, found, broken = describer.config.data, [], {}
    for number, path in enumerate(paths, 1):
        try:
            if not path:
                raise PictureError("there is no path.")
            found.append(read_picture(os.path.expanduser(path), data.pixels, colour=data.colour))
        except PictureError as error:
            if not skip:
                raise InputError(f"line {number}: {error} Mend it, or leave its line empty: --skip-broken.") from None
            broken[number] = str(error)
    pixels = np.stack(found) if found else np.zeros((0, *data.pixels, data.channels))
    return pixels.astype(np.float32) / 255, broken


def score_captions(describer: Describer, lines: list[str]) -> Iterator[LineScore]:
    """The log-probability of each caption given its picture; a line is PATH TAB CAPTION, or with TAB LANGUAGE."""
    paths, captions = [], []
    for number, line in enumerate(lines, 1):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) not in (2, 3):
            raise InputError(
                f"line {number}: should be PATH TAB CAPTION, or with TAB LANGUAGE, but it has {len(columns)} column(s)."
            )
        paths.append(columns[0])
        captions.append(Caption(columns[0], " ".join(columns[1].split()), "".join(columns[2:])))
    first = describer.languages.names[0] if len(describer.languages) else ""
    captions = [caption._replace(language=caption.language or first) for caption in captions]
    pictures, _ = _read_all(describer, paths, False)
    ids, opening = describer.encode(captions, describer.config.data.longest), describer.openings(captions)
    totals = jax.jit(_log_probabilities(describer.model))
    for first_row in range(0, len(ids), ROWS):
        rows = slice(first_row, first_row + ROWS)
        batch = describer.batch(pictures[rows], opening[rows], ids[rows])
        for total, row in zip(np.asarray(totals(describer.params, batch), np.float64), ids[rows], strict=True):
            yield LineScore(float(total), len(row) + 1, float(np.exp(-total / (len(row) + 1))))


def _log_probabilities(model: PairModel):
    def totals(params, batch):
        logits = model.logits(params, batch, None, 0.0).astype(jnp.float32)
        return of_targets(logits, batch["targets"], batch["mask"]).sum(axis=1)

    return totals


def show(describer: Describer, pictured: Pictured, count: int) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some captions, and what the model makes of their pictures."""
    captions = pictured.captions[:count]
    pictures = pictured.draw(np.arange(len(captions)), 0)
    opening = describer.openings(captions)

    def draw(params, step: int) -> str:
        made = describer._replace(params=params).describe(pictures, opening, Searched())
        texts = [describer.text(one[0].ids) if one else "" for one in made]
        return "\n".join(
            f"{caption.image} {caption.language}".rstrip() + f"\n  wanted {caption.text}\n  made   {text}"
            for caption, text in zip(captions, texts, strict=True)
        )

    return draw


def examine(
    describer: Describer,
    parts: Mapping[str, Pictured],
    most: int,
    folder: RunFolder | None,
    *,
    from_files: bool | None = None,
):
    """``(params, split) -> metrics`` of greedy captions: exact match and, where they come from files, BLEU.

    A picture is described once in every language it has captions in; any of those captions is right. Of validation,
    only the first ``most`` captions are looked at; 0: all. Given a folder, where the model looked is drawn there beside
    the metrics of the test split, and some test pictures of the default data are written.
    """
    from_files = bool(describer.config.data.path) if from_files is None else from_files

    def measure(params, split: str) -> dict[str, float]:
        own = describer._replace(params=params)
        captions = parts[split].captions[: most or None] if split == "valid" else parts[split].captions
        wanted: dict[tuple[str, str], list[int]] = {}
        for number, caption in enumerate(captions):
            wanted.setdefault((caption.image, caption.language), []).append(number)
        firsts = [numbers[0] for numbers in wanted.values()]
        made: list[str] = []
        for first in range(0, len(firsts), ROWS):
            chosen = firsts[first : first + ROWS]
            opening = own.openings([captions[n] for n in chosen])
            found = own.describe(parts[split].draw(np.array(chosen), 0), opening, Searched())
            made += [own.text(one[0].ids) if one else "" for one in found]
        references = [[captions[number].text for number in numbers] for numbers in wanted.values()]
        nearest = [text if text in right else right[0] for text, right in zip(made, references, strict=True)]
        row = {"exact_match": exact_match(made, nearest)}
        if from_files and has_sacrebleu():
            row["bleu"] = bleu_of_many(made, references)
        if folder is not None and split == "test":
            write_examples(own, parts[split], folder, files=not from_files)
        return row

    return measure
