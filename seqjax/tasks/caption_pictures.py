"""What a captioner leaves to look at: where it looked at a picture, and some pictures to try it on."""

import contextlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data.caption_config import Pictured
from seqjax.data.picture_files import write_picture
from seqjax.training.folder import RunFolder

EXAMPLES = 12  # pictures of the default test split that are written
PANELS = 24  # words of a caption that are drawn, the first of them


def draw_looks(
    describer: Any, picture: np.ndarray, opening: int, ids: np.ndarray, folder: Path, name: str, *, mean: bool = False
) -> None:
    """Draw every attention of the model over a picture: FOLDER/NAME.png, or FOLDER/NAME-ATTENTION.png of several.

    Args:
        describer: a :class:`seqjax.tasks.caption_use.Describer`.
        picture: (Y, X, C).
        opening: the id that opens the caption.
        ids: (T,), the caption without its end.
        folder: made if need be.
        name: of the file.
        mean: draw the mean of all attentions instead.

    Raises:
        InputError: the model has no attention; the extra ``viz`` is not installed.
    """
    from seqjax.plots.looks import looks

    batch = describer.batch(picture[None], np.array([opening], np.int32), [ids])
    found = jax.jit(describer.model.align)(describer.params, batch)
    if not found:
        raise InputError(
            "predict: --attention: this model has no attention to draw. Train `caption attention` or `transformer`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    size = describer.tokenizer.size
    words = [describer.tokenizer.pieces([symbol])[0] if symbol < size else "<language>" for symbol in ids] + ["<end>"]
    shown = words[:PANELS]
    title = f"the first {PANELS} of {len(words)} words" if len(words) > PANELS else ""
    tables = {attention: np.asarray(weights)[0, : len(shown)] for attention, weights in found.items()}
    tables = {"mean": np.mean([*tables.values()], axis=0)} if mean else tables
    for attention, weights in tables.items():
        drawn = looks(picture, shown, weights, patch=describer.config.model.picture.patch, title=title)
        own = name if len(tables) == 1 else f"{name}-{attention.replace(' ', '-')}"
        drawn.savefig(folder / f"{own}.png")
        drawn.clear()


def write_examples(describer: Any, pictured: Pictured, folder: RunFolder, *, files: bool) -> None:
    """Draw where the model looked in the first test picture with the longest caption; write pictures to try it on.

    Args:
        describer: a :class:`seqjax.tasks.caption_use.Describer`.
        pictured: the test split.
        folder: of the run: attention.png, and pictures/ with captions.tsv.
        files: whether the pictures are on no disk yet, and are written.
    """
    from seqjax.tasks.hypotheses import Searched

    captions = pictured.captions[:EXAMPLES]
    pictures = pictured.draw(np.arange(len(captions)), 0)
    longest = int(np.argmax([len(caption.text.split()) for caption in captions]))
    opening = describer.openings(captions)
    made = describer.describe(pictures[longest][None], opening[longest : longest + 1], Searched())[0]
    with contextlib.suppress(InputError):  # a model without attention, or without the extra `viz`
        draw_looks(
            describer, pictures[longest], int(opening[longest]), made[0].ids, folder.path, "attention", mean=True
        )
    with contextlib.suppress(InputError):  # without Pillow
        if files:
            own = folder.path / "pictures"
            own.mkdir(exist_ok=True)
            lines = [f"{caption.image}.png\t{caption.text}\t{caption.language}\n" for caption in captions]
            for caption, picture in zip(captions, pictures, strict=True):
                write_picture(own / f"{caption.image}.png", picture)
            (own / "captions.tsv").write_text("".join(lines), encoding="utf-8")
