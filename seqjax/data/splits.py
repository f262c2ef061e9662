"""Training, validation and test text: a contiguous split by characters, or files of their own."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from seqjax.checks import InputError
from seqjax.data.config import DataConfig
from seqjax.data.pixels import write_digits
from seqjax.data.text import read_documents
from seqjax.data.tune_grammar import write_tunes

EMBEDDED: dict[str, Callable[[str], list[str]]] = {"tunes": write_tunes, "pixels": write_digits}


class Splits(NamedTuple):
    """Documents of each split."""

    train: list[str]
    valid: list[str]
    test: list[str]


def read_splits(config: DataConfig) -> Splits:
    """Read the text and split it.

    With ``valid_path`` and ``test_path`` the text of ``path`` is for training. With one of them, ``path`` is
    split into training and the one that is missing, in the proportions of ``split``. Embedded tunes and pictures
    have splits of their own.

    Raises:
        InputError: what :func:`seqjax.data.text.read_documents` refuses; a split without text.

    Example:
        >>> sizes = [sum(map(len, documents)) for documents in read_splits(DataConfig())]
        >>> [round(size / sum(sizes), 3) for size in sizes]
        [0.8, 0.1, 0.1]
    """
    if not config.path and config.embedded in EMBEDDED:
        return Splits(*(EMBEDDED[config.embedded](name) for name in Splits._fields))
    documents = read_documents(config.path, config)
    given = [read_documents(paths, config) if paths else None for paths in (config.valid_path, config.test_path)]
    fractions = [config.split[0], *(0.0 if given[i] else config.split[i + 1] for i in range(2))]
    parts = split_documents(documents, [fraction / sum(fractions) for fraction in fractions])
    train, valid, test = parts[0], given[0] or parts[1], given[1] or parts[2]
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not part:
            characters = sum(map(len, documents))
            raise InputError(
                f"data: the {name} split is empty: the text holds {characters} characters, and `split` is "
                f"{tuple(config.split)}. Give more text, or files of their own: --data.valid-path, --data.test-path."
            )
    return Splits(train, valid, test)


def split_documents(documents: Sequence[str], fractions: Sequence[float]) -> list[list[str]]:
    """Cut the concatenation of ``documents`` by characters; a document that is cut goes on as one of its own.

    Args:
        documents: texts.
        fractions: of the characters, one for each part, in order; their sum is 1.

    Example:
        >>> split_documents(["abcdef", "gh", "ij"], [0.5, 0.2, 0.3])
        [['abcde'], ['f', 'g'], ['h', 'ij']]
    """
    total = sum(map(len, documents))
    ends = [round(total * sum(fractions[: i + 1])) for i in range(len(fractions))]
    parts: list[list[str]] = [[] for _ in fractions]
    at = 0
    for document in documents:
        for part, (start, end) in zip(parts, zip([0, *ends], ends, strict=False), strict=True):
            piece = document[max(start - at, 0) : max(end - at, 0)]
            if piece:
                part.append(piece)
        at += len(document)
    return parts
