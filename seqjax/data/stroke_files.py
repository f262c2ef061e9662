"""Drawings from files: ``.npz`` in the stroke-3 layout of QuickDraw, and the paths of ``.svg``."""

import io
import pickle
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from seqjax.checks import InputError
from seqjax.data.strokes import check_strokes, from_lines, simplify

SPLITS = ("train", "valid", "test")
SEGMENTS = 16  # straight pieces of a curve
_ARRAYS = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
_SPOKEN = {"svg", "g", "path"}
_SILENT = {"title", "desc", "metadata"}
_COUNTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "Q": 4, "Z": 0}
_TOKEN = re.compile(r"\s*,?\s*([A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


class _ArraysOnly(pickle.Unpickler):
    """Objects that are arrays and nothing else: a file of drawings should not be able to run a program."""

    def find_class(self, module: str, name: str):
        arrays = module.split(".")[0] == "numpy" and name in _ARRAYS
        if arrays or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")


def read_npz(path: Path) -> dict[str, list[np.ndarray]]:
    """The drawings (T, 3) of each split of a QuickDraw file.

    Raises:
        InputError: no such archive, a split that is missing, a drawing that is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    except Exception as error:  # whatever a broken archive raises
        raise InputError(f"{path}: this is not readable as .npz ({error}).") from None
    missing = [name for name in SPLITS if name not in members]
    if missing:
        raise InputError(
            f"{path}: arrays train, valid and test are wanted, but {', '.join(missing)} is missing. "
            f"The file holds: {', '.join(sorted(members)) or 'nothing'}."
        )
    return {
        name: [
            check_strokes(f"{path}, {name} drawing {number}", one)
            for number, one in enumerate(_read_array(path, name, members[name]), start=1)
        ]
        for name in SPLITS
    }


def _read_array(path: Path, name: str, data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, kind = read(stream)
        if kind.hasobject:
            found = _ArraysOnly(stream, encoding="latin1").load()
        else:
            found = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # whatever a broken pickle raises
        raise InputError(f"{path}: the array {name} is not readable ({error}).") from None
    if not isinstance(found, list) and np.ndim(found) < 1:
        raise InputError(f"{path}: the array {name} should hold drawings (T, 3), but it holds {found!r:.40}.")
    return np.asarray(found, object) if isinstance(found, list) else found


def read_svg(path: Path, tolerance: float = 0.0) -> np.ndarray:
    """The paths of an SVG file as stroke-3; curves become short straight pieces.

    Args:
        path: of the file; its elements may be ``svg``, ``g`` and ``path``, without ``transform``.
        tolerance: points nearer than this to the line of their neighbours are left out.

    Raises:
        InputError: no XML, no line, or an element, an attribute or a command that is not read, by its name.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: this is not readable as SVG ({error}).") from None
    lines: list[np.ndarray] = []
    for element in root.iter():
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "metadata"
        if tag not in _SPOKEN | _SILENT:
            raise InputError(f"{path}: <{tag}> is not read, only <path> in <svg> and <g>. Try to convert it to paths.")
        if "transform" in element.attrib:
            raise InputError(f"{path}: <{tag}> has a `transform`, which is not read. Try to apply it first.")
        if tag == "path":
            lines += flatten_path(element.get("d", ""), str(path))
    tolerance = tolerance or 1e-9  # points on straight lines say nothing
    strokes = from_lines([simplify(line, tolerance) for line in lines])
    if not len(strokes):
        raise InputError(f"{path}: there is no line in it.")
    return check_strokes(str(path), strokes)


def flatten_path(text: str, where: str = "path") -> list[np.ndarray]:
    """The lines (N, 2) that path data draws: M, L, H, V, C, Q and Z, absolute and relative.

    Raises:
        InputError: another command, by its letter; numbers that are missing.

    Source:
        W3C, Scalable Vector Graphics (SVG) 1.1, section 8.3.

    Example:
        >>> [line.tolist() for line in flatten_path("M1,1 h2 v-1 z m 5 5 L 0 0")]
        [[[1.0, 1.0], [3.0, 1.0], [3.0, 0.0], [1.0, 1.0]], [[6.0, 6.0], [0.0, 0.0]]]
    """
    lines: list[list[np.ndarray]] = []
    here = begin = np.zeros(2)
    for command, numbers in _commands(text, where):
        kind, relative = command.upper(), command.islower()
        base = here if relative else np.zeros(2)
        if kind == "M":
            here = begin = base + numbers
            lines.append([here])
            continue
        if not lines:
            raise InputError(f"{where}: a path should begin with M, but it begins with {command}.")
        if kind == "Z":
            lines[-1].append(begin)
            here = begin
            lines.append([here])
            continue
        if kind in "HV":
            axis = "HV".index(kind)
            target = here.copy()
            target[axis] = base[axis] + numbers[0]
            controls = target[None]
        else:
            controls = base + np.reshape(numbers, (-1, 2))
        lines[-1] += list(_curve(np.concatenate([here[None], controls])))
        here = controls[-1]
    return [np.stack(line) for line in lines if len(line) > 1]


def _curve(controls: np.ndarray) -> np.ndarray:
    """Points of a Bézier curve after its first, by de Casteljau's rule; a straight line is its end alone."""
    if len(controls) == 2:
        return controls[1:]
    places = np.linspace(0, 1, SEGMENTS + 1)[1:, None, None]
    points = np.broadcast_to(controls, (SEGMENTS, *controls.shape))
    while points.shape[1] > 1:
        points = (1 - places) * points[:, :-1] + places * points[:, 1:]
    return points[:, 0]


def _commands(text: str, where: str):
    """``(letter, numbers)``, once for every set of numbers that a letter stands for."""
    tokens, place = [], 0
    while text[place:].strip(" ,\t\r\n"):
        found = _TOKEN.match(text, place)
        if found is None:
            raise InputError(f"{where}: path data is not readable from {text[place : place + 20]!r} on.")
        tokens.append(found[1])
        place = found.end()
    while tokens:
        letter = tokens.pop(0)
        if letter.upper() not in _COUNTS or not letter.isalpha():
            raise InputError(f"{where}: the path command {letter!r} is not read. Known: M L H V C Q Z, and lower case.")
        count = _COUNTS[letter.upper()]
        first = True
        while first or (count and tokens and not tokens[0].isalpha()):
            numbers, tokens = tokens[:count], tokens[count:]
            if len(numbers) < count or any(number.isalpha() for number in numbers):
                raise InputError(f"{where}: the path command {letter!r} should have {count} numbers, but has fewer.")
            yield letter, np.array([float(number) for number in numbers])
            letter = {"M": "L", "m": "l"}.get(letter, letter)  # further points of a move are lines
            first = False
