"""Pretrained word vectors for a vocabulary: read from a file, and a matrix of them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.data.vector_files import Floats, Progress, Tally, VectorFile
from keras_rnnlm.data.vector_words import CASES, NORMALIZATIONS, searched
from keras_rnnlm.errors import ConfigError, InputError, nearest

_STREAM = 0x7EC7095  # keeps these draws apart from others of the same seed
_ROWS = 4096  # drawn at a time
_FEW = 8  # vectors, of which no deviation of each number can be told
_DEVIATION = 0.1  # of words without a vector, where all known ones are equal


@dataclass(frozen=True, eq=False)
class WordVectors:
    """The vectors of a file that belong to a vocabulary.

    Attributes:
        path: The file.
        vocabulary_size: Number of token ids, V.
        ids: Those that have a vector, ascending, int64 (n,).
        rows: Their vectors, float32 (n, width).
        how: How each was found, an index into `vector_words.HOW`, uint8 (n,).
        entries: Number of words in the file.
        duplicates: Entries of words of the vocabulary that stood in the file before;
            the first one counts.
        not_utf8: Words of the file that are not in UTF-8: no word is equal to them.
    """

    path: str
    vocabulary_size: int
    ids: NDArray[np.int64]
    rows: Floats
    how: NDArray[np.uint8]
    entries: int = 0
    duplicates: int = 0
    not_utf8: int = 0

    @property
    def width(self) -> int:
        """Numbers of each vector."""
        return int(self.rows.shape[1])

    def matrix(self, seed: int) -> Floats:
        """Return a vector for every token, float32 (V, width).

        Tokens that the file lacks get normal numbers with the mean and the deviation
        that the known vectors have at each place: as long as those, on average, and
        around the same centre.

        Args:
            seed: Decides these numbers.
        """
        mean, deviation = self._spread()
        generator = np.random.default_rng([seed, _STREAM])
        matrix = np.empty((self.vocabulary_size, self.width), np.float32)
        for begin in range(0, self.vocabulary_size, _ROWS):
            some = matrix[begin : begin + _ROWS]
            drawn = generator.standard_normal(some.shape, np.float32)
            some[:] = mean + deviation * drawn
        matrix[self.ids] = self.rows
        return matrix

    def _spread(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        wide = self.rows.astype(np.float64) if len(self.rows) < _FEW else self.rows
        mean = wide.mean(axis=0, dtype=np.float64)
        if len(self.rows) < _FEW:
            # Around the middle of what is known: a word by itself is no centre.
            deviation = np.full(self.width, wide.std() or _DEVIATION)
            return np.full(self.width, wide.mean()), deviation
        deviation = wide.std(axis=0, dtype=np.float64)
        return mean, np.where(deviation > 0, deviation, _DEVIATION)


def read_vectors(
    path: str | os.PathLike[str] | VectorFile,
    tokenizer: Tokenizer,
    *,
    case: str = "exact",
    normalize: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> WordVectors:
    """Read the vectors of a vocabulary's words from a file of any size.

    Only rows that the vocabulary has are kept, and only theirs are turned into numbers.
    Where several words of the file serve one of the vocabulary, the one spelled most
    like it does; see `vector_words`.

    Args:
        path: word2vec text or binary, GloVe text or fastText `.vec`, each plain or
            compressed by gzip.
        tokenizer: Of the vocabulary.
        case: `exact`, `lower` (a word may be found lower-cased), or `any` (also with a
            capital, or all capitals).
        normalize: Under which other spellings a word may be found, each going on from
            the one before: `nfc`, `nfkc`, `accents` (without them), `quotes` (plain
            ones), `digits` (each as `#`), `zeros` (each as `0`).
        progress: Called with bytes read and the size of the file.

    Raises:
        InputError: The file cannot be read, is damaged, or has none of the words.
        ConfigError: An unknown `case` or `normalize`.

    Example:
        >>> vectors = read_vectors("glove.6B.100d.txt", corpus.tokenizer, case="lower")
        >>> model = RNNLM(corpus.vocabulary_size, embedding=vectors.width)
        >>> model.set_vectors(vectors, frozen=True)
    """
    steps = tuple(normalize or ())
    check_spellings(case, steps)
    file = path if isinstance(path, VectorFile) else VectorFile(path)
    wanted = searched(tokenizer, case, steps)
    tally = Tally()
    kept = _Kept(file.width, tokenizer.vocabulary_size)
    seen: set[bytes] = set()
    duplicates = 0
    for entry in file.entries(wanted, tally, progress):
        if entry.word in seen:
            duplicates += 1
            continue
        seen.add(entry.word)
        takers = [taker for taker in wanted[entry.word] if kept.would_take(*taker)]
        numbers = file.numbers(entry)  # also of those not needed: they may be damaged
        for taker in takers:
            kept.take(*taker, numbers)
    special = {tokenizer.eos_id, tokenizer.unk_id}
    if not any(token not in special for token in kept.tokens()):
        raise _none_found(file, tokenizer, tally)
    ids, rows, how = kept.arrays()
    return WordVectors(
        path=str(file.path),
        vocabulary_size=tokenizer.vocabulary_size,
        ids=ids,
        rows=rows,
        how=how,
        entries=tally.entries,
        duplicates=duplicates,
        not_utf8=tally.not_utf8,
    )


def check_spellings(case: str, normalize: Sequence[str]) -> None:
    """Raise `ConfigError` for an unknown way of looking for words."""
    for name, values, choices in (
        ("case", (case,), CASES),
        ("normalize", tuple(normalize), tuple(NORMALIZATIONS)),
    ):
        for value in values:
            if value not in choices:
                raise ConfigError(
                    f"Expected {name} to be of {', '.join(choices)}; received "
                    f"'{value}'.{nearest(str(value), choices)}"
                )


class _Kept:
    """Vectors that are kept, one a token, in an array that grows with their number."""

    def __init__(self, width: int, most: int) -> None:
        self._most = most
        self._rows = np.empty((min(1024, most), width), np.float32)
        self._places: dict[int, tuple[int, int, int]] = {}  # place, rank, how

    def tokens(self) -> Iterator[int]:
        return iter(self._places)

    def would_take(self, token: int, rank: int, how: int) -> bool:
        known = self._places.get(token)
        return known is None or rank < known[1]

    def take(self, token: int, rank: int, how: int, numbers: Floats) -> None:
        known = self._places.get(token)
        place = len(self._places) if known is None else known[0]
        if place == len(self._rows):
            larger = np.empty((min(2 * place, self._most), numbers.size), np.float32)
            larger[:place] = self._rows
            self._rows = larger
        self._rows[place] = numbers
        self._places[token] = place, rank, how

    def arrays(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.uint8]]:
        ids = np.array(sorted(self._places), np.int64)
        places = np.array([self._places[i][0] for i in ids.tolist()], np.int64)
        how = np.array([self._places[i][2] for i in ids.tolist()], np.uint8)
        return ids, self._rows[places], how


def _none_found(file: VectorFile, tokenizer: Tokenizer, tally: Tally) -> InputError:
    special = {tokenizer.eos_id, tokenizer.unk_id}
    own = [t for i, t in enumerate(tokenizer.tokens) if i not in special][:3]
    foreign = (
        f" {tally.not_utf8:,} of its words are not UTF-8: convert the file."
        if tally.not_utf8
        else ""
    )
    return InputError(
        f"{Path(file.path)}: expected vectors for words of the vocabulary, found none "
        f"among {tally.entries:,} words. The file begins with "
        f"{', '.join(map(repr, tally.first))}, the vocabulary with "
        f"{', '.join(map(repr, own))}.{foreign} Use vectors of the same language and "
        "tokenizer, or look for other spellings (case any, normalize nfkc)."
    )
