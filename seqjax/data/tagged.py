"""Tagged sentences of files, or dates in sentences, for training, validation and test; and as arrays.

N sentences, T tokens, C characters of a token.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.conll import Tagged, read_tagged
from seqjax.data.copy_memory import CopyMemoryConfig, write_copies
from seqjax.data.pair_config import Pair
from seqjax.data.pairs import split_pairs
from seqjax.data.tag_config import TagsConfig
from seqjax.data.tag_schemes import OUTSIDE, PREFIXES, Scheme, find_scheme, first_illegal, repair, split_tag
from seqjax.data.tagged_dates import write_tagged_dates
from seqjax.data.word_list import LabelList, WordList, spell

_NEARLY_ALL = 0.9  # of the tags; where so many are of BIO or BIOES, the others are slips


class TagSplits(NamedTuple):
    """Sentences of each split.

    Attributes:
        train: to train on; and so on.
        scheme: how the tags mark spans.
        repaired: of the files for each split, how many sentences had tags that were mended.
    """

    train: list[Tagged]
    valid: list[Tagged]
    test: list[Tagged]
    scheme: Scheme
    repaired: dict[str, int]


WRITERS: dict[type, Callable[[Any], list[list[Tagged]]]] = {
    TagsConfig: lambda config: write_tagged_dates(config.dates, config.split),
    CopyMemoryConfig: write_copies,
}
"""Sentences for training, validation and test where no files are given, by the type of the configuration."""


def read_tag_splits(config: TagsConfig) -> TagSplits:
    """Read tagged sentences, or write some, such as dates in sentences, and split them.

    With ``valid_path`` and ``test_path`` the sentences of ``path`` are for training. With one of them, ``path`` is
    split into training and the one that is missing, at random; sentences of the same words stay together.

    Raises:
        InputError: what :func:`seqjax.data.conll.read_tagged` and :func:`check_tags` refuse; an odd tag among those of
            BIO or BIOES; an empty split.

    Example:
        >>> from seqjax.data.tag_config import TaggedDatesConfig
        >>> splits = read_tag_splits(TagsConfig(dates=TaggedDatesConfig(sentences=20, held=2)))
        >>> len(splits.train), len(splits.test), splits.scheme
        (20, 2, 'bio')
    """
    parts = _read(config) if config.path else WRITERS[type(config)](config)
    scheme = scheme_of(config, {tag for one in parts[0] for tag in one.tags})
    if scheme == "none" and config.scheme == "auto":
        _check_no_slip(parts[0])
    repaired: dict[str, int] = {}
    for place, name in enumerate(("train", "valid", "test")):
        parts[place], repaired[name] = check_tags(parts[place], scheme, mend=config.repair)
        _check_form(parts[place], scheme)
    train, valid, test = _split(config, parts) if config.path else parts
    return TagSplits(train, valid, test, scheme, repaired)


def scheme_of(config: TagsConfig, tags: Iterable[str]) -> Scheme:
    """The scheme that ``config`` names, or else the one that the tags of the training split are in."""
    if config.scheme != "auto":
        return cast(Scheme, config.scheme)
    return "runs" if config.tokens == "characters" else find_scheme(tags)


def check_tags(sentences: Sequence[Tagged], scheme: Scheme, *, mend: bool) -> tuple[list[Tagged], int]:
    """Refuse tags that mark no spans as they stand, or mend them; and count the sentences that were mended.

    Raises:
        InputError: with file and line.

    Example:
        >>> check_tags([Tagged(("3", "."), ("I-DAY", "I-DAY"), "a.conll", (1, 2))], "bio", mend=True)[0][0].tags
        ('B-DAY', 'I-DAY')
        >>> check_tags([Tagged(("3", "."), ("I-DAY", "I-DAY"), "a.conll", (1, 2))], "bio", mend=False)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: a.conll, line 1: I-DAY goes on with a span that nothing began ...
    """
    found, repaired = [], 0
    for one in sentences:
        wrong = first_illegal(one.tags, scheme)
        if wrong is not None and not mend:
            raise InputError(f"data: {one.at(wrong)}: {_why(one.tags, wrong)} Mend such tags with --data.repair.")
        repaired += wrong is not None
        found.append(one if wrong is None else one._replace(tags=tuple(repair(one.tags, scheme))))
    return found, repaired


def _why(tags: Sequence[str], wrong: int) -> str:
    if wrong == len(tags):
        return f"the sentence ends inside a span, with {tags[-1]}."
    before = f"it follows {tags[wrong - 1]}" if wrong else "it comes first"
    if split_tag(tags[wrong])[0] in ("I", "E"):
        return f"{tags[wrong]} goes on with a span that nothing began ({before})."
    return f"{tags[wrong]} comes before the span before it has ended ({before})."


def _check_no_slip(sentences: Sequence[Tagged]) -> None:
    """Refuse tags without a prefix where nearly all have one: they would take every span away."""
    counts = Counter(tag for one in sentences for tag in one.tags)
    odd = [tag for tag in counts if not split_tag(tag)[0]]
    begins = [tag for tag in counts if split_tag(tag)[0] == "B"]
    share = 1 - sum(counts[tag] for tag in odd) / max(1, counts.total())
    if odd and begins and (share >= _NEARLY_ALL or len(odd) <= 2):
        scheme = find_scheme(set(counts) - set(odd)).upper()
        raise InputError(
            f"data: {_first_of(odd, sentences)} is no tag of {scheme}, as {begins[0]} and {share:.0%} of the tags are. "
            "Is it a header line? Take it out, or mend the tag; if tags mark no spans, try --data.scheme none."
        )


def _check_form(sentences: Sequence[Tagged], scheme: Scheme) -> None:
    """Refuse tags that the scheme does not have, and say where the first of them stands."""
    wrong = [
        tag
        for tag in dict.fromkeys(tag for one in sentences for tag in one.tags)
        if scheme in PREFIXES and split_tag(tag)[0] not in (OUTSIDE, *PREFIXES[scheme])
    ]
    if wrong:
        raise InputError(
            f"data: {_first_of(wrong, sentences)} is no tag of {scheme}, which has O, "
            f"{', '.join(PREFIXES[scheme])}-KIND. Is it a header line? Take it out, or mend the tag."
        )


def _first_of(tags: Sequence[str], sentences: Sequence[Tagged]) -> str:
    """The first of some tags, where it stands and as it is written."""
    places = ((one, place) for one in sentences for place, tag in enumerate(one.tags) if tag in tags)
    one, place = next(places)
    return f"{one.at(place)}: {one.tags[place]!r}"


def list_tags(sentences: Sequence[Tagged]) -> LabelList:
    """The tags of the training split: ``O`` first, then by kind.

    Example:
        >>> list_tags([Tagged(("a", "b", "c"), ("B-X", "O", "B-A"))]).names
        ('O', 'B-A', 'B-X')
    """
    tags = {tag for one in sentences for tag in one.tags}
    return LabelList(sorted(tags, key=lambda tag: (tag != OUTSIDE, *reversed(split_tag(tag)))))


def encode_tags(sentences: Sequence[Tagged], labels: LabelList) -> list[np.ndarray]:
    """Ids of tags, (T,) int32 each.

    Raises:
        InputError: with file and line: a tag that training never saw.
    """
    for one in sentences:
        for place, tag in enumerate(one.tags):
            if tag not in labels.ids:
                raise InputError(
                    f"data: {one.at(place) or 'the sentence'}: the tag {tag!r} stands nowhere in the training split. "
                    f"{nearest(tag, labels.names)}"
                )
    return [labels.encode(one.tags, one.where) for one in sentences]


def encode_words(sentences: Sequence[Sequence[str]], words: WordList, characters: WordList | None) -> dict:
    """Arrays of each sentence: ``words`` (T,), and ``characters`` (T, C) where there is a list of them.

    Example:
        >>> words = WordList(["3", "mai"], [0, 1, 1])
        >>> encode_words([["3", "maio"]], words, None)["words"]
        [array([1, 0], dtype=int32)]
    """
    steps = {"words": [words.encode(sentence) for sentence in sentences]}
    if characters is not None:
        steps["characters"] = [spell(characters, sentence) for sentence in sentences]
    return steps


def _read(config: TagsConfig) -> list[list[Tagged]]:
    """The sentences of the files for training, for validation and for test; none where there are no files."""
    files = config.path, config.valid_path, config.test_path
    return [read_tagged(paths, config) if paths else [] for paths in files]


def _split(config: TagsConfig, parts: list[list[Tagged]]) -> list[list[Tagged]]:
    """Deal the first part to those that are empty."""
    sentences, *given = parts
    fractions = [config.split[0], *(0.0 if given[i] else config.split[i + 1] for i in range(2))]
    named = [Pair("\n".join(one.words), str(number)) for number, one in enumerate(sentences)]
    dealt = split_pairs(named, [fraction / sum(fractions) for fraction in fractions])
    found = [[sentences[int(pair.target)] for pair in part] for part in dealt]
    found = [found[0], given[0] or found[1], given[1] or found[2]]
    for name, part in zip(("training", "validation", "test"), found, strict=True):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(sentences)} sentences, and `split` is "
                f"{tuple(config.split)}. "
                "Give more sentences, or files of their own: --data.valid-path, --data.test-path."
            )
    return found
