"""Use a classifier: label lines, show what it looked at, measure and draw what it takes for what."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, LabelList, example_batches
from seqjax.data.labelled_config import Labelled, LabelledConfig
from seqjax.models.classifier import ClassModel
from seqjax.tasks.class_metrics import accuracy_of, confusion_matrix, has_sklearn, macro_f1, most_confused
from seqjax.tasks.class_metrics import ngram_baseline as ngrams
from seqjax.tasks.classify_front import Front
from seqjax.tasks.elmo_start import draw_mix
from seqjax.training.folder import RunFolder

ROWS = 16, 256  # texts read in one call, at least (the others are padding) and at most: few shapes to compile
LONGEST = 60  # characters of a text that is shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictClass:
    """Label the lines of standard input with the best checkpoint of a run: LABEL TAB PROBABILITY for each line."""

    n_best: int = 1  # labels a line, the likeliest first; when above 1 as LABEL:PROBABILITY, tab-separated
    probabilities: bool = False  # all labels, the likeliest first, as LABEL:PROBABILITY, tab-separated
    attention: bool = False  # behind them, how much pooling by attention looked at each symbol, as SYMBOL:WEIGHT

    def __post_init__(self):
        if self.n_best < 1:
            raise InputError(f"predict: --n-best should be at least 1 label, but it is {self.n_best}.")


class ClassUse(NamedTuple):
    """A model, what it knows of texts and labels, and its parameters."""

    model: ClassModel
    front: Front
    labels: LabelList
    data: LabelledConfig
    params: Any

    def probabilities(self, texts: Sequence[str], where: str = "data: text") -> np.ndarray:
        """(N, K): of each text, how likely each class is; texts of like length are read together, in few shapes."""
        found = np.zeros((len(texts), len(self.labels)), np.float32)
        for batch, rows in self._batches(texts, where):
            found[batch["example"][rows]] = np.asarray(_run(self.model.logits)(self.params, batch))[rows]
        return np.asarray(jax.nn.softmax(jnp.asarray(found), axis=-1)) if len(texts) else found

    def looked(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Of each text, how much pooling by attention looks at each step: (T,), which sum to 1."""
        if self.model.look is None:
            raise InputError(
                "predict: --attention shows what pooling by attention looked at, but this model pools otherwise. "
                "Train one with --model.output.pooling attention."
            )
        found: list[np.ndarray] = [np.zeros(0)] * len(texts)
        for batch, rows in self._batches(texts, "line"):
            weights, lengths = np.asarray(_run(self.model.look)(self.params, batch)), batch["mask"].sum(axis=1)
            for row in rows:
                found[batch["example"][row]] = weights[row, : lengths[row]]
        return found

    def _batches(self, texts: Sequence[str], where: str) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Batches, and which of their rows are real."""
        if not texts:
            return
        rows = min(max(ROWS[0], 1 << (len(texts) - 1).bit_length()), ROWS[1])
        examples = Examples(self.front.arrays(texts, where), {})
        batches = example_batches(examples, rows=rows, train=False, buckets=self.data.buckets)
        for number in range(len(batches)):
            yield batches[number], np.flatnonzero(batches[number]["real"])


@functools.lru_cache(maxsize=8)
def _run(function: Callable[..., Any]) -> Callable[..., Any]:
    """Jitted; the same one for the same function."""
    return jax.jit(function)


def predict(use: ClassUse, lines: list[str], options: PredictClass) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    if options.attention and use.model.look is None:
        use.looked([])
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise InputError(f"line {number} is empty: there is nothing to label. Take it out.")
    probabilities = use.probabilities(lines, "line")
    shown = use.looked(lines) if options.attention else [None] * len(lines)
    count = len(use.labels) if options.probabilities else min(options.n_best, len(use.labels))
    for line, row, weights in zip(lines, probabilities, shown, strict=True):
        best = [(use.labels.names[place], row[place]) for place in np.argsort(-row, kind="stable")[:count]]
        if count == 1:
            columns = [best[0][0], f"{best[0][1]:.4f}"]
        else:
            columns = [f"{label}:{probability:.4f}" for label, probability in best]
        if weights is not None:
            pieces = zip(use.front.pieces(line), weights, strict=True)
            columns.append(" ".join(f"{'␣' if piece == ' ' else piece}:{weight:.3f}" for piece, weight in pieces))
        yield "\t".join(columns)


def show(use: ClassUse, examples: Sequence[Labelled]) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some texts, what they are and what the model takes them for."""

    def draw(params, step: int) -> str:
        found = use._replace(params=params).probabilities([example.text for example in examples])
        lines = []
        for example, row in zip(examples, found, strict=True):
            guess = use.labels.names[int(row.argmax())]
            text = example.text if len(example.text) <= LONGEST else example.text[: LONGEST - 1] + "…"
            verdict = "right" if guess == example.label else f"wrong: it is {example.label}"
            lines.append(f"{text}\n  {guess} ({row.max():.0%}), {verdict}".replace("%)", " %)"))
        return "\n".join(lines)

    return draw


def examine(use: ClassUse, parts: Mapping[str, Sequence[Labelled]], folder: RunFolder | None, *, rival: bool):
    """``(params, split) -> metrics``: accuracy and macro F1.

    Of the test split, given a folder: what is taken for what is drawn there and its worst pairs are printed, and with
    ``rival`` the accuracy of a logistic regression is added as ``baseline``.
    """

    def measure(params, split: str) -> dict[str, float]:
        examples, names = parts[split], use.labels.names
        made = use._replace(params=params).probabilities([example.text for example in examples]).argmax(axis=1)
        wanted = use.labels.encode([example.label for example in examples], split)
        counts = confusion_matrix(wanted, made, len(names))
        row = {"accuracy": accuracy_of(counts), "macro_f1": macro_f1(counts)}
        if folder is None or split != "test":
            return row
        print(draw_confusion(counts, names, folder))
        draw_mix(params, folder)
        if pairs := most_confused(counts, names):
            print("taken for one another: " + ", ".join(f"{one} and {other} {n}" for one, other, n in pairs))
        if rival and has_sklearn():
            sides = [side for name in ("train", "test") for side in _sides(parts[name])]
            row["baseline"] = ngrams(*sides)
        elif rival:
            print("no baseline: it needs scikit-learn. Try pip install -e '.[data]'.")
        return row

    return measure


def _sides(examples: Sequence[Labelled]) -> tuple[list[str], list[str]]:
    return [example.text for example in examples], [example.label for example in examples]


def draw_confusion(counts: np.ndarray, names: Sequence[str], folder: RunFolder) -> str:
    """Write confusion.png; say where it is, or what it needs."""
    from seqjax.plots.confusion import confusion

    try:
        confusion(counts, names, title=f"{folder.path.name}: test").savefig(folder.path / "confusion.png")
    except (InputError, OSError) as error:
        return f"no confusion.png: {error}"
    return f"confusion: {folder.path / 'confusion.png'}"
