"""Use a model of pairs: translate lines, with a beam, n-best lists and pictures of what it looked at; score pairs."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import EncodedPairs, Tokenizer
from seqjax.decoding import pad_prompts, search_tree
from seqjax.models import PairModel
from seqjax.tasks.hypotheses import BOUNDARY, Hypothesis, Searched, search
from seqjax.tasks.lm_use import LineScore
from seqjax.tasks.text_metrics import bleu_and_chrf, exact_match, has_sacrebleu

ROWS = 32  # lines translated in one call
DRAWN = 200  # steps that a picture of a search may have


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsOption:
    """Which pairs."""

    path: tuple[str, ...] = ()  # two-column files; default: the run's own test split
    target_path: tuple[str, ...] = ()  # references, line by line, where `path` holds sources only


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(Searched):
    """Translate the lines of standard input with the best checkpoint of a run: one line out for each line in."""

    max_tokens: int = 0  # symbols of a line at most; 0: twice those of the source, and 16
    truncate: bool = False  # cut sources that are too long for the model, instead of refusing them
    align: str = ""  # folder for pictures of what the model looked at
    tree: str = ""  # folder for pictures of the search: what was kept at every step, and how likely it was

    def __post_init__(self):
        super().__post_init__()
        if self.max_tokens < 0:
            raise InputError(f"predict: --max-tokens should be at least 1, but it is {self.max_tokens}.")


class Translator(NamedTuple):
    """A model, its tokenizers and its parameters."""

    model: PairModel
    source: Tokenizer
    target: Tokenizer
    params: Any

    def check_lengths(self, ids: Sequence[np.ndarray], where: str = "line") -> None:
        """Refuse sources that the model has no positions for."""
        most = self.model.longest[0] if self.model.longest else None
        for number, row in enumerate(ids, 1):
            if most is not None and len(row) > most:
                raise InputError(
                    f"{where} {number}: the source holds {len(row)} symbols, but the model has positions for {most}. "
                    "Split it, or cut it with --truncate."
                )

    def check_target_lengths(self, ids: Sequence[np.ndarray]) -> None:
        """Refuse targets that the model could never write."""
        most = self.model.longest[1] - 1 if self.model.longest else None  # one is the boundary's
        for number, row in enumerate(ids, 1):
            if most is not None and len(row) > most:
                raise InputError(
                    f"line {number}: the target holds {len(row)} symbols, but the model has positions for {most}."
                )

    def translate(self, ids: Sequence[np.ndarray], options: Predict) -> Iterator[list[Hypothesis]]:
        """The best translations of each source, best first; sources of like length are read together."""
        order = np.argsort([len(row) for row in ids], kind="stable")
        found: dict[int, list[Hypothesis]] = {}
        for first in range(0, len(order), ROWS):
            chosen = order[first : first + ROWS]
            rows = [ids[i] for i in chosen] + [ids[chosen[0]]] * (ROWS - len(chosen) if len(ids) > ROWS else 0)
            for place, hypotheses in zip(chosen, self._decode(rows, options), strict=False):
                found[int(place)] = hypotheses
        return (found[number] for number in range(len(ids)))

    def _decode(self, rows: Sequence[np.ndarray], options: Predict) -> list[list[Hypothesis]]:
        return search(self.model, self.params, *self.asked(rows, options), options)

    def asked(self, rows: Sequence[np.ndarray], options: Predict) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
        """What a search of some sources begins with: the inputs, what opens each target, and its symbols at most."""
        source, mask = pad_prompts(rows, self.source.size)
        most = options.max_tokens or 2 * source.shape[1] + 16
        most = min(most, self.model.longest[1]) if self.model.longest else most
        return {"source": source, "source_mask": mask}, np.full(len(rows), BOUNDARY, np.int32), most


def predict(translator: Translator, lines: list[str], options: Predict) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order; of a blank line nothing, which is certain."""
    blank = [not line.strip() for line in lines]  # nothing to translate: their lines are empty
    ids = [
        _encode(translator.source, "" if nothing else line, f"line {number}")
        for number, (line, nothing) in enumerate(zip(lines, blank, strict=True), 1)
    ]
    if options.truncate and translator.model.longest:
        most = translator.model.longest[0]
        cut = sum(len(row) > most for row in ids)
        ids = [row[:most] for row in ids]
        if cut:
            print(f"{cut} of {len(ids)} sources cut to {most} symbols", file=sys.stderr)
    translator.check_lengths(ids)
    found = translator.translate([row for row, nothing in zip(ids, blank, strict=True) if not nothing], options)
    for number, nothing in enumerate(blank, 1):
        if nothing:
            yield "" if options.n_best == 1 else f"{number}\t{0:.4f}\t"
            continue
        hypotheses = next(found)
        texts = [translator.target.decode(one.ids) for one in hypotheses]
        if options.align:
            save_alignments(translator, ids[number - 1], hypotheses[0].ids, Path(options.align), number)
        if options.tree:
            save_tree(translator, ids[number - 1], options, number)
        if options.n_best == 1:
            yield texts[0] if texts else ""
            continue
        for text, one in zip(texts, hypotheses, strict=True):
            yield f"{number}\t{one.log_probability:.4f}\t{text}"


def _encode(tokenizer: Tokenizer, text: str, where: str) -> np.ndarray:
    try:
        return tokenizer.encode(text, strict=True)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def save_alignments(translator: Translator, source: np.ndarray, target: np.ndarray, folder: Path, number: int) -> None:
    """Draw what every attention of the model looked at, one picture each: FOLDER/0001.png or FOLDER/0001-NAME.png."""
    from seqjax.plots import alignment

    batch = teacher_forced([source], [target], translator)
    found = jax.jit(translator.model.align)(translator.params, batch)
    if not found:
        raise InputError("predict: --align: this model has no attention to draw. Train bahdanau, luong or transformer.")
    folder.mkdir(parents=True, exist_ok=True)
    symbols = [*translator.target.pieces(target), "<end>"], translator.source.pieces(source)
    for name, weights in found.items():
        figure = alignment(np.asarray(weights)[0, : len(target) + 1, : len(source)], *symbols)
        own = f"{number:04d}" if len(found) == 1 else f"{number:04d}-{name.replace(' ', '-')}"
        figure.savefig(folder / f"{own}.png")
        figure.clear()


def save_tree(translator: Translator, source: np.ndarray, options: Predict, number: int) -> None:
    """Draw what the search of one source kept, step by step: FOLDER/0001.png."""
    from seqjax.plots import search_tree as draw

    inputs, last, most = translator.asked([source], options)
    tree = search_tree(
        translator.model.decodable, translator.params, inputs, last, max_tokens=most, beam=options.beam, end=BOUNDARY,
        length_penalty=options.length_penalty, limits=options.limits,
    )  # fmt: skip
    if len(tree.tokens) > DRAWN:
        print(f"line {number}: a search of {len(tree.tokens)} steps is not drawn, more than {DRAWN}", file=sys.stderr)
        return
    names = ["<end>", *translator.target.pieces(range(1, translator.target.size))]
    picture = draw(
        tree.parents, tree.tokens, tree.log_probabilities, tree.totals, tree.ended, names, scores=tree.scores
    )  # fmt: skip
    Path(options.tree).mkdir(parents=True, exist_ok=True)
    picture.savefig(Path(options.tree) / f"{number:04d}.png")
    picture.clear()


def teacher_forced(
    sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], translator: Translator
) -> dict[str, np.ndarray]:
    """A batch of pairs, whose targets the model is to read and to predict."""
    source, source_mask = pad_prompts(sources, translator.source.size)
    inputs, mask = pad_prompts([np.append(BOUNDARY, row) for row in targets], translator.target.size)
    after, _ = pad_prompts([np.append(row, BOUNDARY) for row in targets], translator.target.size)
    return {"source": source, "source_mask": source_mask, "inputs": inputs, "targets": after, "mask": mask}


def score_pairs(translator: Translator, lines: list[str]) -> Iterator[LineScore]:
    """The log-probability of each target given its source; a line is SOURCE TAB TARGET."""
    pairs = []
    for number, line in enumerate(lines, 1):
        columns = line.split("\t")
        if len(columns) != 2:
            raise InputError(f"line {number}: should be SOURCE TAB TARGET, but it has {len(columns)} column(s).")
        sides = zip((translator.source, translator.target), columns, strict=True)
        pairs.append([_encode(tokenizer, text, f"line {number}") for tokenizer, text in sides])
    translator.check_lengths([source for source, _ in pairs])
    translator.check_target_lengths([target for _, target in pairs])
    scores = jax.jit(_log_probabilities(translator.model))
    for first in range(0, len(pairs), ROWS):
        rows = pairs[first : first + ROWS]
        batch = teacher_forced([a for a, _ in rows], [b for _, b in rows], translator)
        found = np.asarray(scores(translator.params, batch), np.float64)
        for total, (_, target) in zip(found, rows, strict=True):
            yield LineScore(float(total), len(target) + 1, float(np.exp(-total / (len(target) + 1))))


def _log_probabilities(model: PairModel):
    def totals(params, batch):
        scores = jax.nn.log_softmax(model.logits(params, batch, None, 0.0).astype(jnp.float32))
        taken = jnp.take_along_axis(scores, batch["targets"][..., None], axis=-1)[..., 0]
        return jnp.where(batch["mask"], taken, 0).sum(axis=1)

    return totals


def show(translator: Translator, encoded: EncodedPairs, count: int) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: the first ``count`` pairs, and what the model makes of them."""
    pairs, ids = encoded.pairs[:count], encoded.sources[:count]

    def draw(params, step: int) -> str:
        made = translator._replace(params=params).translate(ids, Predict())
        texts = [translator.target.decode(one[0].ids) if one else "" for one in made]
        return "\n".join(
            f"{pair.source}\n  wanted {pair.target}\n  made   {text}" for pair, text in zip(pairs, texts, strict=True)
        )

    return draw


def examine(translator: Translator, encoded: Mapping[str, EncodedPairs], most: int):
    """``(params, split) -> metrics`` of greedy translations; of validation, only of the first ``most`` pairs.

    Sources are read as the loss reads them: cut, where that is the rule. References are whole.
    """

    def measure(params, split: str) -> dict[str, float]:
        some = slice(most if split == "valid" else None)
        references = [pair.target for pair in encoded[split].pairs[some]]
        if not references:
            return {}
        made = [
            translator.target.decode(one[0].ids) if one else ""
            for one in translator._replace(params=params).translate(encoded[split].sources[some], Predict())
        ]
        row = {"exact_match": exact_match(made, references)}
        return row | (bleu_and_chrf(made, references) if has_sacrebleu() else {})

    return measure
