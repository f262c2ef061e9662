"""A small treebank, written by a grammar of our own: the data that ``parse`` learns from by default.

Sentences of an English without surprises, with trees in the manner of Universal Dependencies, one in eight
non-projective (a question for the object of a clause, a relative clause at the end). Where a phrase hangs is decided by
words and by agreement, as :mod:`seqjax.data.treebank_grammar` says, and so there is something to learn.

Source:
    Nivre et al. (2020), Universal Dependencies v2, for the labels.
"""

import bisect
import dataclasses
import functools
import itertools
import random
import re
from typing import NamedTuple

from seqjax.checks import InputError
from seqjax.data.conllu import Tree, make_tree
from seqjax.data.treebank_grammar import GRAMMAR, LEXICON, NOUNS, VERBS

NUMBERS, FORMS = "sp", "spbng"
PART = re.compile(r"(?:([a-z:]+)\()?([$^]?)(?:['\"](.+)['\"]([A-Z]+)|([\w.-]+))\)?")
PATIENCE = 20_000  # sentences in a row that are too long or there already, before giving up


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreebankConfig:
    """The default data: sentences of a small grammar and their trees; ``--data.treebank.*``.

    Raises:
        InputError: sizes below 1, or sentences too short to be any.
    """

    sentences: int = 6_000  # to train on
    held: int = 500  # of the validation split; as many of the test split
    longest: int = 24  # words of a sentence, its full stop included
    seed: int = 0  # of the sentences

    def __post_init__(self):
        for name, least in (("sentences", 1), ("held", 1), ("longest", 6), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(
                    f"data.treebank: `{name}` should be at least {least}, but it is {getattr(self, name)}."
                )


class Part(NamedTuple):
    """One part of a rule.

    Attributes:
        symbol: that it is made from; "" where it is a word.
        word: and its part of speech.
        label: how it hangs on the head of the rule; "" for the head itself.
        place: ``^`` at the front of the sentence, ``$`` at its end, "" where it stands.
    """

    symbol: str
    word: tuple[str, str]
    label: str
    place: str


class Rules(NamedTuple):
    """What a symbol may become."""

    parts: list[tuple[Part, ...]]
    until: list[float]  # sums of weights


@dataclasses.dataclass(eq=False)
class Node:
    """A word, and what hangs on it."""

    form: str
    upos: str
    label: str = "root"
    head: "Node | None" = None


def write_treebank(config: TreebankConfig) -> tuple[list[Tree], list[Tree], list[Tree]]:
    """Sentences to train on, to validate and to test; no sentence comes twice. A function of the configuration alone.

    Raises:
        InputError: the grammar has too few sentences as short as asked for.

    Example:
        >>> train, valid, test = write_treebank(TreebankConfig(sentences=1, held=1, longest=6))
        >>> " ".join(train[0].forms)
        'Sofia is serving the bread .'
        >>> train[0].heads.tolist(), " ".join(train[0].labels)
        ([3, 3, 0, 5, 3, 3], 'nsubj aux root det obj punct')
    """
    draw = random.Random(config.seed)
    found: dict[tuple[str, ...], Tree] = {}
    wanted = config.sentences + 2 * config.held
    vain = 0
    while len(found) < wanted:
        nodes, vain = _write(draw), vain + 1
        if len(nodes) <= config.longest:
            tree = _as_tree(nodes, f"written-{len(found) + 1}")
            vain = vain if tree.forms in found else 0
            found.setdefault(tree.forms, tree)
        if vain >= PATIENCE:
            raise InputError(
                f"data.treebank: of {wanted:,} different sentences of at most {config.longest} words the grammar "
                f"found only {len(found):,}. Ask for fewer or longer ones: --data.treebank.longest."
            )
    trees, ends = list(found.values()), (config.sentences, config.sentences + config.held)
    return trees[: ends[0]], trees[ends[0] : ends[1]], trees[ends[1] :]


@functools.cache
def grammar() -> dict[str, Rules]:
    """Every symbol's rules, those of words among them: the r-th word of a list is drawn in proportion to 1 / (r + 3).

    Example:
        >>> [(part.label, part.symbol) for part in grammar()["Sub"].parts[0]]
        [('mark', 'Since'), ('', 'S.s')]
    """
    weighted: dict[str, list[tuple[float, tuple[Part, ...]]]] = {}
    for line in GRAMMAR.split("\n"):
        for rule in _instances(line) if line else []:
            symbol, _, parts = rule.partition(" -> ")
            weight, colon, rest = parts.partition(": ")
            made = tuple(map(_part, (rest if colon else parts).split()))
            weighted.setdefault(symbol, []).append((float(weight) if colon else 1.0, made))
    for symbol, words in _words().items():
        weighted[symbol] = [(1 / (rank + 3), (Part("", word, "", ""),)) for rank, word in enumerate(words)]
    return {
        symbol: Rules([parts for _, parts in rules], list(itertools.accumulate(weight for weight, _ in rules)))
        for symbol, rules in weighted.items()
    }


def _instances(line: str) -> list[str]:
    """A rule for every number and form that its letters stand for.

    Example:
        >>> _instances("S.@ -> NP.@")
        ['S.s -> NP.s', 'S.p -> NP.p']
    """
    lines = [line]
    for letter, values in (("@", NUMBERS), ("&", NUMBERS), ("%", FORMS)):
        lines = [one.replace(letter, value) for one in lines for value in (values if letter in line else " ")]
    return lines


def _part(text: str) -> Part:
    found = PART.fullmatch(text)
    if not found:
        raise ValueError(f"the grammar has a part that cannot be read: {text}")
    label, place, form, upos, symbol = found.groups(default="")
    return Part(symbol, (form, upos), label, place)


def _words() -> dict[str, list[tuple[str, str]]]:
    """Words and parts of speech of every symbol that is a list of words."""
    words: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, LEXICON.split("\n")):
        symbol, upos, *forms = line.split()
        words[symbol] = [(form, upos) for form in forms]
    for line in filter(None, NOUNS.split("\n")):
        kind, *nouns = line.split()
        for number, same in zip(NUMBERS, zip(*(noun.split("/") for noun in nouns), strict=True), strict=True):
            words.setdefault(f"{kind}.{number}", []).extend((form, "NOUN") for form in same)
    for line in filter(None, VERBS.split("\n")):
        kind, *verbs = line.split()
        for verb in verbs:
            one, many, past, bare, participle, going = verb.split("/")
            finite = {".s": [one, past], ".p": [many, past], "-s": [one], "-p": [many]}
            for form, written in (finite | {".b": [bare], ".n": [participle], ".g": [going]}).items():
                words.setdefault(f"V{kind}{form}", []).extend((word, "VERB") for word in written)
    return words


def _write(draw: random.Random) -> list[Node]:
    """The words of one sentence, in order."""
    front: list[Node] = []
    late: list[Node] = []

    def expand(part: Part) -> tuple[Node, list[Node]]:
        if not part.symbol:
            node = Node(*part.word)
            return node, [node]
        rules = grammar()[part.symbol]
        chosen = rules.parts[bisect.bisect(rules.until, draw.random() * rules.until[-1])]
        made = [(one, *expand(one)) for one in chosen]
        head = next(node for one, node, _ in made if not one.label)
        order: list[Node] = []
        for one, node, words in made:
            if node is not head:
                node.head, node.label = head, one.label
            {"^": front, "$": late, "": order}[one.place].extend(words)
        return head, order

    _, words = expand(Part("Sentence", ("", ""), "", ""))
    return [*front, *words[:-1], *late, words[-1]]


def _as_tree(nodes: list[Node], name: str) -> Tree:
    """Words as they are written: ``an`` before a vowel, a capital at the beginning."""
    forms = [
        "an" if node.form == "a" and after.form[0] in "aeiou" else node.form
        for node, after in zip(nodes, [*nodes[1:], nodes[-1]], strict=True)
    ]
    forms[0] = forms[0][0].upper() + forms[0][1:]
    number = {node: place for place, node in enumerate(nodes, start=1)}
    heads = [number[node.head] if node.head else 0 for node in nodes]
    tree = make_tree(forms, heads, [node.label for node in nodes], [node.upos for node in nodes])
    return tree._replace(name=name, comments=(f"# sent_id = {name}", f"# text = {' '.join(forms)}"))
