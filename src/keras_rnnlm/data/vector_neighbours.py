"""The words whose vectors point the same way: in a file of any size, or in a matrix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.vector_files import Entry, Floats, Progress, VectorFile
from keras_rnnlm.data.vector_words import file_word, spellings
from keras_rnnlm.errors import InputError, nearest

_ROWS = 2048


@dataclass(frozen=True)
class Neighbours:
    """What is near a word.

    Attributes:
        word: The word, as it was found.
        near: Other words and their cosine, the largest first.
    """

    word: str
    near: list[tuple[str, float]]


def neighbours_in_file(
    file: VectorFile,
    words: Sequence[str],
    k: int = 10,
    *,
    case: str = "exact",
    normalize: Sequence[str] = (),
    first: int | None = None,
    progress: Progress | None = None,
) -> list[Neighbours]:
    """Find the nearest words of a file, which is read twice.

    Args:
        file: Word vectors.
        words: What to find neighbours of.
        k: How many of each.
        case: As of `read_vectors`, for `words`.
        normalize: As of `read_vectors`, for `words`.
        first: Look among the first so many words of the file alone; they are the most
            frequent ones in most files.
        progress: Called with bytes read and their number in both passes.

    Raises:
        InputError: The file is damaged, or lacks a word.
    """
    queries, found = _queries(file, words, case, normalize, _half(progress, 0))
    best: list[list[tuple[float, str]]] = [[] for _ in words]
    entries = file.entries(None, progress=_half(progress, 1))
    for some in _groups(islice(entries, first)):
        rows = np.stack([file.numbers(entry) for entry in some])
        cosines = _unit(rows) @ queries.T
        names = [entry.word.decode("utf-8", "replace") for entry in some]
        for query, column in enumerate(cosines.T):
            for place in _largest(column, k + 1):
                best[query].append((float(column[place]), names[place]))
            best[query] = sorted(best[query], key=lambda pair: -pair[0])[: k + 1]
    return [
        _without_itself(word, pairs, k) for word, pairs in zip(found, best, strict=True)
    ]


def neighbours_in_matrix(
    tokens: Sequence[str],
    matrix: NDArray[np.floating],
    words: Sequence[str],
    k: int = 10,
    *,
    case: str = "exact",
    normalize: Sequence[str] = (),
) -> list[Neighbours]:
    """Find the nearest words of a vocabulary.

    Args:
        tokens: The vocabulary.
        matrix: (tokens, width).
        words: What to find neighbours of.
        k: How many of each.
        case: As of `read_vectors`, for `words`.
        normalize: As of `read_vectors`, for `words`.

    Raises:
        InputError: A word is not in the vocabulary.
    """
    ids = {token: index for index, token in enumerate(tokens)}
    known = []
    for word in words:
        spelled = [each for each in spellings(word, case, normalize) if each in ids]
        if not spelled:
            raise InputError(
                f"'{word}' is not in the model's vocabulary of {len(tokens):,}."
                f"{nearest(word, tokens)}"
            )
        known.append(spelled[0])
    unit = _unit(np.asarray(matrix, np.float32))
    found = []
    for word in known:
        cosines = unit @ unit[ids[word]]
        pairs = [(float(cosines[i]), tokens[i]) for i in _largest(cosines, k + 1)]
        found.append(_without_itself(word, pairs, k))
    return found


def _queries(
    file: VectorFile,
    words: Sequence[str],
    case: str,
    normalize: Sequence[str],
    progress: Progress | None,
) -> tuple[Floats, list[str]]:
    """Return unit vectors of words (words, width), and the words as they were found."""
    wanted: dict[bytes, list[tuple[int, int]]] = {}
    for index, word in enumerate(words):
        for rank, spelling in enumerate(spellings(file_word(word), case, normalize)):
            key = spelling.encode("utf-8", "surrogatepass")
            wanted.setdefault(key, []).append((rank, index))
    best: dict[int, tuple[int, Entry]] = {}
    for entry in file.entries(wanted, progress=progress):
        for rank, index in wanted[entry.word]:
            if index not in best or rank < best[index][0]:
                best[index] = rank, entry
    for index, word in enumerate(words):
        if index not in best:
            raise InputError(
                f"{file.path}: has no vector for '{word}'. Try another spelling, or "
                "--case any."
            )
    entries = [best[index][1] for index in range(len(words))]
    rows = np.stack([file.numbers(entry) for entry in entries])
    return _unit(rows), [entry.word.decode("utf-8", "replace") for entry in entries]


def _groups(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while some := list(islice(entries, _ROWS)):
        yield some


def _unit(rows: Floats) -> Floats:
    """Return rows of length one; a row of zeros stays."""
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    unit: Floats = rows / lengths
    return unit


def _largest(values: Floats, k: int) -> list[int]:
    k = min(k, len(values))
    some = np.argpartition(-values, k - 1)[:k]
    order: list[int] = some[np.argsort(-values[some], kind="stable")].tolist()
    return order


def _without_itself(word: str, pairs: list[tuple[float, str]], k: int) -> Neighbours:
    others = [(name, cosine) for cosine, name in pairs if name != word]
    return Neighbours(word, others[:k])


def _half(progress: Progress | None, half: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(done + half * total, 2 * total)
