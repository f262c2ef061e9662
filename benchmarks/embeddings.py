"""Skip-gram with negative sampling: seqjax beside gensim, in speed and in what the vectors know.

Both read the same words of the same text, for as many epochs, at the same schedule of the learning rate, with the
same window, negatives, subsampling and smallest count. They differ in the update: gensim moves two vectors after each
pair; here a step moves them for all pairs of 512 centre words at once, by the sum of what each pair would have moved
them, and 96 drawn words serve as the negatives of the sixteen centre words of a row.

gensim reads the sentences in an order drawn anew for each epoch, for seqjax draws the order too. One more gensim run
reads them in the order of the file, as it does by default, to show what that alone changes.

    python -m benchmarks.embeddings --path TEXT --similarity FILE --analogies FILE --write
"""

import dataclasses
import os
import statistics
import time
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks.timing import Others, machine, median, report, table
from seqjax.data.text import embedded_documents, read_documents
from seqjax.data.word_list import WordList, count_words
from seqjax.data.word_questions import read_analogies, read_similarities
from seqjax.data.word_text import WordTextConfig, known_words, split_lines
from seqjax.process import prepare_process
from seqjax.tasks.word_judgements import Vocabulary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    path: str = ""  # text, a sentence a line; empty: Python's own documentation
    similarity: tuple[str, ...] = ()  # files of WORD TAB WORD TAB NUMBER
    analogies: tuple[str, ...] = ()  # files of four words a line
    epochs: int = 5
    features: int = 100
    window: int = 5
    negatives: int = 5
    min_count: int = 5
    seeds: int = 3  # runs of each
    rows: int = 32  # rows of a batch of seqjax
    span: int = 16  # centre words of a row
    shared: int = 96  # negatives of a row
    frequent: int = 2000  # words whose neighbours are compared
    neighbours: int = 10  # of each
    write: bool = False  # append to benchmarks/RESULTS.md


class Trained(NamedTuple):
    """The outcome of one run."""

    vectors: np.ndarray  # (V, E), in the order of the word list
    seconds: float  # of training alone: neither reading nor compiling
    work: float  # seconds of all cores together, which others on the machine disturb less


def train_gensim(sentences: list[list[str]], words: WordList, options: Options, seed: int, shuffled: bool) -> Trained:
    """gensim's Word2Vec on all cores."""
    from gensim.models import Word2Vec

    order = Shuffled(sentences, seed) if shuffled else sentences
    model = Word2Vec(
        vector_size=options.features, window=options.window, negative=options.negatives, min_count=options.min_count,
        sg=1, seed=seed, workers=len(os.sched_getaffinity(0)),
    )  # fmt: skip
    model.build_vocab(sentences)
    clock = Clock()
    model.train(order, total_examples=model.corpus_count, epochs=options.epochs)
    return Trained(model.wv[list(words.words[1:])], *clock.read())


class Clock:
    """Seconds since it was made: on the wall, and of all cores together."""

    def __init__(self):
        self.wall, self.work = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.work


class Shuffled:
    """Sentences in an order that every pass draws anew."""

    def __init__(self, sentences: list[list[str]], seed: int):
        self.sentences, self.random = sentences, np.random.default_rng(seed)

    def __iter__(self):
        return (self.sentences[place] for place in self.random.permutation(len(self.sentences)))


def train_seqjax(lines: list[str], words: WordList, options: Options, seed: int) -> Trained:
    """The batches, the objective, the optimiser and the pmapped step of ``python train.py embeddings skipgram``."""
    import jax

    from seqjax.data import iterate
    from seqjax.data.skipgrams import WindowsConfig
    from seqjax.models.word_vectors import VectorsConfig
    from seqjax.tasks.embeddings import PRESETS, lay, objective, vector_model
    from seqjax.training.devices import local_rows, place
    from seqjax.training.optimizers import make_optimizer
    from seqjax.training.state import create_state
    from seqjax.training.step import make_train_step, parallel

    config = dataclasses.replace(
        PRESETS["skipgram"],
        seed=seed,
        batch_size=options.rows,
        windows=WindowsConfig(window=options.window, span=options.span, shared=options.shared),
        model=VectorsConfig(features=options.features, negatives=options.negatives),
    )
    laid = lay(config, known_words(lines, words), words, train=True)
    steps = options.epochs * laid.batches.steps_per_epoch
    optimizer, model = make_optimizer(config.optimizer, steps), vector_model(config, len(words))
    step = parallel(make_train_step(objective(model, laid.examples), optimizer))
    key = jax.random.key(seed)
    fresh = lambda: place(create_state(model.init(key), optimizer))  # noqa: E731
    jax.block_until_ready(step(fresh(), local_rows(laid.batches[0]), key)[0].params)  # compiled
    state, waiting = fresh(), None
    clock = Clock()
    for number, batch in enumerate(iterate(laid.batches)):
        if number == steps:
            break
        state, metrics = step(state, local_rows(batch), key)
        jax.block_until_ready(waiting)
        waiting = metrics
    jax.block_until_ready(state.params)
    seconds, work = clock.read()
    return Trained(np.asarray(model.vectors(state.params))[1:], seconds, work)


def nearest(vectors: np.ndarray, options: Options) -> np.ndarray:
    """The neighbours of the most frequent words, (words, neighbours)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    count = min(options.frequent, len(unit))
    cosines = unit[:count] @ unit.T
    cosines[np.arange(count), np.arange(count)] = -np.inf
    return np.argpartition(-cosines, options.neighbours, axis=1)[:, : options.neighbours]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of neighbours that two sets of vectors agree on."""
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(one.tolist(), other.tolist(), strict=True)]))


def spread(values: list[float]) -> str:
    """Mean, smallest and largest."""
    if not values:
        return "-"
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def judge(runs: list[Trained], words: WordList, options: Options) -> list[str]:
    """Agreement with people and accuracy of analogies, over runs."""
    known = [Vocabulary(words.words[1:], run.vectors) for run in runs]
    cells = [spread([one.agree(read_similarities(path), path).value for one in known]) for path in options.similarity]
    for path in options.analogies:
        totals = []
        for one in known:
            sections = one.solve(read_analogies(path), path).values()
            totals.append(sum(s.value * s.known for s in sections) / sum(s.known for s in sections))
        cells.append(spread(totals))
    return cells


def main(options: Options) -> None:
    prepare_process()
    config = WordTextConfig()
    lines = read_documents([options.path], config.text) if options.path else "".join(embedded_documents()).split("\n")
    sentences = [[word.lower() for word in sentence] for sentence in split_lines(lines)]
    running = sum(map(len, sentences))
    words = count_words(sentences, vocabulary=10**9, min_count=options.min_count, lower=True)
    gensim, ours = [], []
    with Others() as others:
        for seed in range(1, options.seeds + 1):
            gensim.append(train_gensim(sentences, words, options, seed, shuffled=True))
            ours.append(train_seqjax(lines, words, options, seed))
        in_order = train_gensim(sentences, words, options, 1, shuffled=False)
    runs = {"gensim": gensim, "seqjax": ours, "gensim, order of the file": [in_order]}
    near = {name: [nearest(run.vectors, options) for run in of] for name, of in runs.items()}
    rows = []
    for name, of in runs.items():
        pairs = [
            overlap(a, b)
            for i, a in enumerate(near[name])
            for j, b in enumerate(near["gensim"])
            if name != "gensim" or i < j
        ]
        speeds = [options.epochs * running / median(times) for times in ([r.seconds for r in of], [r.work for r in of])]
        rows.append([name, *(f"{speed:,.0f}" for speed in speeds), spread(pairs), *judge(of, words, options)])
    files = [os.path.basename(path) for path in (*options.similarity, *options.analogies)]
    head = ["", "words/s", "words/s a core", "overlap with gensim", *files]
    ratio, ratio_of_work = (
        median([getattr(g, name) / getattr(s, name) for g, s in zip(gensim, ours, strict=True)])
        for name in ("seconds", "work")
    )
    told = (
        f"{running:,} words, {len(words) - 1:,} kinds, {options.epochs} epochs, {options.features} features, window "
        f"{options.window}, {options.negatives} negatives; {options.seeds} seeds; a batch of seqjax: {options.rows} "
        f"rows of {options.span} words with {options.shared} negatives. Overlap: of the {options.neighbours} nearest "
        f"of the {options.frequent} most frequent words. Mean (lowest to highest).\n\n{table(head, rows)}\n\n"
        f"seqjax is {ratio:.2f} times as fast as gensim on {len(os.sched_getaffinity(0))} cores, and "
        f"{ratio_of_work:.2f} times for each second of a core; others took {others.share:.0%} of the machine meanwhile."
    )
    report("Word vectors", told, options.write)


if __name__ == "__main__":
    assert machine()
    main(tyro.cli(Options))
