"""What ``classify elmo`` and ``tag elmo`` have in common: a run of ``elmo`` to start from."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.models.elmo_reading import ElmoVectors
from seqjax.tasks.elmo import ELMO
from seqjax.tasks.elmo_use import Reader
from seqjax.tasks.pretrained import PretrainedConfig, kept_pretrained, only_shapes, open_pretrained, start_from
from seqjax.training.folder import RunFolder

ADVICE = (
    "Train one on plain text: python train.py elmo --data.path FILE --out runs/elmo; then --pretrained.run runs/elmo."
)


class Start(NamedTuple):
    """A trained ELMo.

    Attributes:
        reader: how it cuts sentences into words, and spells them.
        vectors: ``(dropout, rngs) ->`` the module that gives its vectors.
        begin: ``init -> init``, which begins with its parameters; unchanged where a run goes on.
        summary: what to show of it before training.
    """

    reader: Reader
    vectors: Callable[[float, Any], ElmoVectors]
    begin: Callable[[Any], Any]
    summary: list[tuple[str, str]]

    def spell(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Character ids (T, C) of the words of each sentence, each different word spelled once."""
        kinds = {word: number for number, word in enumerate(dict.fromkeys(word for row in sentences for word in row))}
        table = self.reader.spell(list(kinds))
        return [table[[kinds[word] for word in row]] if len(row) else table[:0] for row in sentences]


def open_elmo(pretrained: PretrainedConfig, folder: RunFolder, *, begins: bool) -> Start:
    """The run to start from, or what was kept of it.

    Args:
        pretrained: names the run.
        folder: of the new run.
        begins: whether the run is to be trained; else only its description is read.

    Raises:
        InputError: no run is named, it is of another task, or has no checkpoint.
    """
    reader = open_pretrained(pretrained, folder, ELMO, ADVICE) if begins else kept_pretrained(folder, ELMO)
    frozen, shape = not pretrained.tuned, reader.shape
    loaded = reader.params["elmo"]
    path = "encoder/vectors/elmo" + ("/frozen" if frozen else "")

    def vectors(dropout: float, rngs) -> ElmoVectors:
        return ElmoVectors(shape, reader.lists.characters.size, dropout=dropout, frozen=frozen, rngs=rngs)

    how = "left as it is" if frozen else "trained on"
    what = f"ELMo of 2 × {shape.layers} × {shape.features}, {reader.lists.characters.size - 1:,} characters, {how}"
    begin = functools.partial(start_from, loaded={path: loaded} if not only_shapes(loaded) else {})
    return Start(reader, vectors, begin, [("start", f"{pretrained.run or 'kept'}: {what}")])


def draw_mix(params, folder: RunFolder) -> None:
    """Write scalar_mix.png, if the encoder mixes layers of an ELMo and matplotlib is there."""
    from seqjax.plots.scalar_mix import scalar_mix

    vectors = params.get("encoder", {}).get("vectors") if isinstance(params, dict) else None
    if vectors is None:
        return
    mix = vectors["mix"]
    try:
        figure = scalar_mix(np.asarray(mix["scores"]), title=f"γ = {float(mix['scale']):.2f}")
        figure.savefig(folder.path / "scalar_mix.png")
    except (InputError, OSError):  # the extra `viz` is missing, or the disk is full: the curves say so
        return
