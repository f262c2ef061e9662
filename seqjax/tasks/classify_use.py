"""Use a classifier: label lines, show what it looked at, measure and draw what it takes for what."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, LabelList, example_batches
from seqjax.models.classifier import ClassModel
from seqjax.tasks.class_metrics import accuracy_of, confusion_matrix, has_sklearn, macro_f1, most_confused
from seqjax.tasks.classify_front import Front
from seqjax.tasks.classify_source import Source, contents_of, labels_in, source_of
from seqjax.tasks.contract import DataOption, check_own_split
from seqjax.tasks.elmo_start import draw_mix
from seqjax.training.folder import RunFolder

ROWS = 16, 256  # examples read in one call, at least (the others are padding) and at most: few shapes to compile


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictClass:
    """Label what standard input holds with the best checkpoint of a run: LABEL TAB PROBABILITY for each.

    Of texts, each line is one. Of digits and films, each line holds their numbers, a pixel after the other. Of visits,
    standard input is a table with a line of column names, and each line that is printed begins with the id.
    """

    n_best: int = 1  # labels a line, the likeliest first; when above 1 as LABEL:PROBABILITY, tab-separated
    probabilities: bool = False  # all labels, the likeliest first, as LABEL:PROBABILITY, tab-separated
    attention: bool = False  # behind them, how much pooling by attention looked at each symbol, as SYMBOL:WEIGHT

    def __post_init__(self):
        if self.n_best < 1:
            raise InputError(f"predict: --n-best should be at least 1 label, but it is {self.n_best}.")


CHANGES = ("skip_broken", "skip_short", "sort")  # how files are read


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassesOption(DataOption):
    """Which files, and what to do with what is wrong in them."""

    skip_broken: bool = False  # of texts: leave out lines without a label or a text, and count them
    skip_short: bool = False  # of visits: leave out whoever came only once, and count them
    sort: bool = False  # of visits: put the visits of each id in the order of time

    def __post_init__(self):
        check_own_split(self, CHANGES)

    def applied(self, data: Any) -> Any:
        """A run's configuration of data, with what is asked for besides.

        Raises:
            InputError: that is nothing for data of this kind.
        """
        asked = {name: True for name in CHANGES if getattr(self, name)}
        known = {field.name for field in dataclasses.fields(data)}
        if strange := [name for name in asked if name not in known]:
            flag = f"--data.{strange[0].replace('_', '-')}"
            raise InputError(
                f"evaluate: {flag} is nothing for the data of this run ({type(data).__name__}). Leave it out."
            )
        return dataclasses.replace(data, **asked)


class ClassUse(NamedTuple):
    """A model, what it knows of contents and labels, and its parameters."""

    model: ClassModel
    front: Front
    labels: LabelList
    data: Any
    params: Any

    @property
    def source(self) -> Source:
        """What the data is."""
        return source_of(self.data)

    def probabilities(self, contents: Sequence[Any], where: str = "data: text") -> np.ndarray:
        """(N, K): of each content, how likely each class is; those of like length are read together, in few shapes."""
        found = np.zeros((len(contents), len(self.labels)), np.float32)
        for batch, rows in self._batches(contents, where):
            found[batch["example"][rows]] = np.asarray(_run(self.model.logits, jax.nn.softmax)(self.params, batch))[
                rows
            ]
        return found

    def looked(self, contents: Sequence[Any]) -> list[np.ndarray]:
        """Of each content, how much pooling by attention looks at each step: (T,), which sum to 1."""
        if self.model.look is None:
            raise InputError(
                "predict: --attention shows what pooling by attention looked at, but this model pools otherwise. "
                "Train one with --model.output.pooling attention."
            )
        found: list[np.ndarray] = [np.zeros(0)] * len(contents)
        for batch, rows in self._batches(contents, "line"):
            weights, lengths = np.asarray(_run(self.model.look)(self.params, batch)), batch["mask"].sum(axis=1)
            for row in rows:
                found[batch["example"][row]] = weights[row, : lengths[row]]
        return found

    def _batches(self, contents: Sequence[Any], where: str) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Batches, and which of their rows are real."""
        if not contents:
            return
        rows = min(max(ROWS[0], 1 << (len(contents) - 1).bit_length()), ROWS[1])
        examples = Examples(self.front.arrays(contents, where), {})
        batches = example_batches(examples, rows=rows, train=False, buckets=self.data.buckets)
        for number in range(len(batches)):
            yield batches[number], np.flatnonzero(batches[number]["real"])


@functools.lru_cache(maxsize=8)
def _run(function: Callable[..., Any], then: Callable[[Any], Any] = lambda found: found) -> Callable[..., Any]:
    """One after the other, jitted; the same one for the same functions."""
    return jax.jit(lambda *given: then(function(*given)))


def predict(use: ClassUse, lines: list[str], options: PredictClass) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    if options.attention and use.model.look is None:
        use.looked([])
    given = use.source.read_lines(lines, use.data)
    contents = [content for _, content in given]
    probabilities = use.probabilities(contents, "line")
    shown = use.looked(contents) if options.attention else [None] * len(contents)
    count = len(use.labels) if options.probabilities else min(options.n_best, len(use.labels))
    for (columns, content), row, weights in zip(given, probabilities, shown, strict=True):
        best = [(use.labels.names[place], row[place]) for place in np.argsort(-row, kind="stable")[:count]]
        if count == 1:
            columns = [*columns, best[0][0], f"{best[0][1]:.4f}"]
        else:
            columns = [*columns, *(f"{label}:{probability:.4f}" for label, probability in best)]
        if weights is not None:
            pieces = zip(use.front.pieces(content), weights, strict=True)
            columns.append(" ".join(f"{'␣' if piece == ' ' else piece}:{weight:.3f}" for piece, weight in pieces))
        yield "\t".join(columns)


def show(use: ClassUse, examples: Sequence[Any]) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some examples, what they are and what the model takes them for."""

    def draw(params, step: int) -> str:
        found = use._replace(params=params).probabilities(contents_of(examples))
        lines = []
        for (label, content), row in zip(examples, found, strict=True):
            guess = use.labels.names[int(row.argmax())]
            verdict = "right" if guess == label else f"wrong: it is {label}"
            lines.append(f"{use.source.told(content)}\n  {guess} ({row.max():.0%}), {verdict}".replace("%)", " %)"))
        return "\n".join(lines)

    return draw


def examine(use: ClassUse, parts: Mapping[str, Sequence[Any]], folder: RunFolder | None, *, rival: bool):
    """``(params, split) -> metrics``: accuracy and macro F1, and of the test split what the source scores besides.

    Of the test split, given a folder: what is taken for what is drawn there and its worst pairs are printed, and with
    ``rival`` the accuracy of a logistic regression is added as ``baseline``.
    """

    def measure(params, split: str) -> dict[str, float]:
        examples, names = parts[split], use.labels.names
        probabilities = use._replace(params=params).probabilities(contents_of(examples))
        wanted = use.labels.encode(labels_in(examples), split)
        counts = confusion_matrix(wanted, probabilities.argmax(axis=1), len(names))
        row = {"accuracy": accuracy_of(counts), "macro_f1": macro_f1(counts)}
        row |= use.source.scores(wanted, probabilities) if split == "test" else {}
        if folder is None or split != "test":
            return row
        print(draw_confusion(counts, names, folder))
        draw_mix(params, folder)
        if pairs := most_confused(counts, names):
            print("taken for one another: " + ", ".join(f"{one} and {other} {n}" for one, other, n in pairs))
        if rival and has_sklearn():
            row |= use.source.rival(use.front, parts["train"], parts["test"])
        elif rival:
            print("no baseline: it needs scikit-learn. Try pip install -e '.[data]'.")
        return row

    return measure


def draw_confusion(counts: np.ndarray, names: Sequence[str], folder: RunFolder) -> str:
    """Write confusion.png; say where it is, or what it needs."""
    from seqjax.plots.confusion import confusion

    try:
        confusion(counts, names, title=f"{folder.path.name}: test").savefig(folder.path / "confusion.png")
    except (InputError, OSError) as error:
        return f"no confusion.png: {error}"
    return f"confusion: {folder.path / 'confusion.png'}"
