"""Sentences and their dependency trees: of files or of the treebank, for training, validation and test; and as arrays.

N sentences, T words of a sentence, C characters of a word.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from seqjax.checks import InputError, check_choice, nearest
from seqjax.data.config import check_split
from seqjax.data.conllu import Tree, read_conllu
from seqjax.data.example_batches import Examples
from seqjax.data.pair_config import Pair
from seqjax.data.pairs import split_pairs
from seqjax.data.tagged import encode_words
from seqjax.data.treebank import TreebankConfig, write_treebank
from seqjax.data.word_list import LabelList, WordList

Unseen = Literal["refuse", "wrong"]
NO_LABEL = -1  # the id of a relation that training never saw


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreesConfig:
    """Sentences with dependency trees, and batches; on the command line, ``--data.*``.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> TreesConfig(longest=0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `longest` should be at least 1, but it is 0.
    """

    path: tuple[str, ...] = ()  # files or folders of CoNLL-U; empty: a small treebank, see `treebank`
    valid_path: tuple[str, ...] = ()  # validation sentences, instead of a split
    test_path: tuple[str, ...] = ()  # test sentences, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of sentences
    longest: int = 512  # most words of a sentence; a longer one is refused: blank lines may be missing
    subtypes: bool = True  # tell acl:relcl from acl; else relations end before the colon
    unseen: Unseen = "refuse"  # a relation that training never saw: refuse the file, or count each as labelled wrong
    vocabulary: int = 30_000  # most words known, and most characters
    min_count: int = 2  # words that training has less often are <unk>
    lower: bool = False  # look words up in lower case; their spelling keeps its case
    buckets: int = 4  # most lengths of batches; each is compiled once
    treebank: TreebankConfig = TreebankConfig()

    def __post_init__(self):
        check_choice("data", "unseen", self.unseen, get_args(Unseen))
        check_split(self.split)
        for name, least in (("longest", 1), ("vocabulary", 2), ("min_count", 1), ("buckets", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )


class TreeSplits(NamedTuple):
    """Sentences of each split."""

    train: list[Tree]
    valid: list[Tree]
    test: list[Tree]


def read_tree_splits(config: TreesConfig) -> TreeSplits:
    """Read sentences with their trees, or write a treebank, and split them.

    With ``valid_path`` and ``test_path`` the sentences of ``path`` are for training. With one of them, ``path`` is
    split into training and the one that is missing, at random; sentences of the same words stay together.

    Raises:
        InputError: what :func:`read_trees` and :func:`seqjax.data.treebank.write_treebank` refuse; an empty split.

    Example:
        >>> splits = read_tree_splits(TreesConfig(treebank=TreebankConfig(sentences=5, held=2)))
        >>> len(splits.train), len(splits.test)
        (5, 2)
    """
    if not config.path:
        return TreeSplits(*([plain(tree, config) for tree in part] for part in write_treebank(config.treebank)))
    trees = read_trees(config.path, config)
    given = [read_trees(paths, config) if paths else [] for paths in (config.valid_path, config.test_path)]
    fractions = [config.split[0], *(0.0 if given[i] else config.split[i + 1] for i in range(2))]
    named = [Pair("\n".join(tree.forms), str(number)) for number, tree in enumerate(trees)]
    dealt = split_pairs(named, [fraction / sum(fractions) for fraction in fractions])
    parts = [[trees[int(pair.target)] for pair in part] for part in dealt]
    found = TreeSplits(parts[0], given[0] or parts[1], given[1] or parts[2])
    for name, part in zip(("training", "validation", "test"), found, strict=True):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(trees)} sentences, and `split` is "
                f"{tuple(config.split)}. "
                "Give more sentences, or files of their own: --data.valid-path, --data.test-path."
            )
    return found


def read_trees(paths: Sequence[str], config: TreesConfig) -> list[Tree]:
    """Sentences of files, with the relations that ``config`` wants.

    Raises:
        InputError: what :func:`seqjax.data.conllu.read_conllu` refuses; a sentence that is too long.
    """
    trees = read_conllu(paths, config.encoding)
    for tree in trees:
        if len(tree.forms) > config.longest:
            raise InputError(
                f"{tree.where}: a sentence of {len(tree.forms)} words, and `longest` is {config.longest}. Are blank "
                "lines missing between sentences? If not, try a larger --data.longest."
            )
    return [plain(tree, config) for tree in trees]


def plain(tree: Tree, config: TreesConfig) -> Tree:
    """The same tree, its relations without what follows the colon unless ``config.subtypes``."""
    if config.subtypes:
        return tree
    return tree._replace(labels=tuple(label.partition(":")[0] for label in tree.labels))


def list_labels(trees: Sequence[Tree]) -> LabelList:
    """The relations of the training split, in alphabetical order."""
    return LabelList(sorted({label for tree in trees for label in tree.labels}))


def encode_labels(trees: Sequence[Tree], labels: LabelList, unseen: Unseen) -> list[np.ndarray]:
    """Ids of relations, (T,) int32 each; ``NO_LABEL`` for one that training never saw, where that is not refused.

    Raises:
        InputError: a relation that training never saw.

    Example:
        >>> from seqjax.data.conllu import make_tree
        >>> encode_labels([make_tree(["Go", "!"], [0, 1], ["root", "punct"])], LabelList(["root"]), "wrong")
        [array([ 0, -1], dtype=int32)]
    """
    for tree in trees if unseen == "refuse" else ():
        for form, label in zip(tree.forms, tree.labels, strict=True):
            if label not in labels.ids:
                raise InputError(
                    f"{tree.where}: the relation {label!r} (of {form!r}) stands nowhere in the training split. "
                    f"Try --data.unseen wrong, which counts it as labelled wrong. {nearest(label, labels.names)}"
                )
    return [np.array([labels.ids.get(label, NO_LABEL) for label in tree.labels], np.int32) for tree in trees]


def encode_trees(
    trees: Sequence[Tree], words: WordList, characters: WordList | None, labels: LabelList, unseen: Unseen
) -> Examples:
    """Sentences as arrays, ``heads`` (T,) and ``labels`` (T,) among them."""
    steps = encode_words([tree.forms for tree in trees], words, characters)
    steps |= {"heads": [tree.heads for tree in trees], "labels": encode_labels(trees, labels, unseen)}
    return Examples(steps, {})


class Attachment(NamedTuple):
    """How many words hang on the right head, and by the right relation."""

    words: int
    heads: int
    labels: int  # of them, those with the right relation too

    @property
    def uas(self) -> float:
        """Unlabelled attachment score, a fraction."""
        return self.heads / max(self.words, 1)

    @property
    def las(self) -> float:
        """Labelled attachment score, a fraction."""
        return self.labels / max(self.words, 1)


def attachment(wanted: Sequence[Tree], found: Sequence[Tree], *, punctuation: bool = True) -> Attachment:
    """Compare trees over the same words.

    Args:
        wanted: references.
        found: predictions, one for each.
        punctuation: count punctuation too, as the evaluation of CoNLL 2018 does; else words whose part of speech is
            PUNCT or whose relation is punct, in the reference, are left out.

    Sources:
        Zeman et al. (2018), CoNLL 2018 Shared Task, section 4; Nivre & Fang (2017) for relations with subtypes.

    Example:
        >>> from seqjax.data.conllu import make_tree
        >>> one = make_tree(["Birds", "sing", "."], [2, 0, 2], ["nsubj", "root", "punct"])
        >>> two = make_tree(["Birds", "sing", "."], [2, 0, 1], ["obj", "root", "punct"])
        >>> attachment([one], [two]), attachment([one], [two], punctuation=False).uas
        (Attachment(words=3, heads=2, labels=1), 1.0)
    """
    counts = np.zeros(3, int)
    for reference, tree in zip(wanted, found, strict=True):
        upos, labels = np.array(reference.upos), np.array(reference.labels)
        counted = punctuation | ((upos != "PUNCT") & (labels != "punct"))
        heads = counted & (reference.heads == tree.heads)
        counts += np.broadcast_to(counted, labels.shape).sum(), heads.sum(), (heads & (labels == tree.labels)).sum()
    return Attachment(*counts.tolist())
