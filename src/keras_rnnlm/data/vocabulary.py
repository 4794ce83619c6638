"""Which words and characters a vocabulary holds, and in what order.

The most frequent one comes first; among equally frequent ones, the one with the lower
code points. So a text has one vocabulary, whatever the order it was counted in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.blocks import LastCut, safe_blocks
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.errors import InputError

MOST_WORDS = 2_000_000
_COUNTED = 1 << 22  # ids at a time
Progress = Callable[[int, int], None]


class Meter:
    """Tells a callback how many characters of some files have been dealt with."""

    def __init__(self, files: Sequence[TextFile], progress: Progress | None) -> None:
        """Count the characters of the files if somebody wants to know."""
        self._progress = progress
        self._total = sum(file.characters for file in files) if progress else 0
        self._done = 0

    def advance(self, characters: int) -> None:
        """Report that so many more characters are done."""
        self._done += characters
        if self._progress:
            self._progress(self._done, self._total)


def count_characters(
    files: Sequence[TextFile], progress: Progress | None = None
) -> dict[str, int]:
    """Count each character of some files."""
    meter = Meter(files, progress)
    counts = np.zeros(0x110000, np.int64)
    for file in files:
        for block in file.blocks():
            codes = np.frombuffer(block.encode("utf-32-le"), np.uint32)
            found = np.bincount(codes)
            counts[: len(found)] += found
            meter.advance(len(block))
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def count_words(
    files: Sequence[TextFile],
    words: Callable[[str], list[str]],
    last_cut: LastCut,
    bounded: bool,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Count the words of some files.

    Args:
        files: the text.
        words: from a piece of text to its words.
        last_cut: where a long line may be cut; see `blocks.py`.
        bounded: only part of the words will be used. When more than 2,000,000 different
            ones have been seen, those seen least are then forgotten, and counted from
            zero if they come again (lossy counting, Manku and Motwani 2002).
        progress: called with characters done and characters in all.

    Raises:
        InputError: more than 2,000,000 different words, and all are to be used.
    """
    meter = Meter(files, progress)
    counts: Counter[str] = Counter()
    for file in files:
        for block in safe_blocks(file, last_cut=last_cut):
            counts.update(words(block))
            meter.advance(len(block))
            if len(counts) > MOST_WORDS:
                if not bounded:
                    raise InputError(
                        f"The text has more than {MOST_WORDS:,} different words. Set "
                        "vocabulary_size (such as 50000) or minimum_count (such as 5), "
                        "or use --tokenizer bpe."
                    )
                counts = _without_rarest(counts)
    return counts


def token_counts(ids: NDArray[np.integer], vocabulary_size: int) -> NDArray[np.int64]:
    """Count how often each id comes in a text, which may be memory-mapped."""
    counts = np.zeros(vocabulary_size, np.int64)
    for begin in range(0, len(ids), _COUNTED):
        counts += np.bincount(ids[begin : begin + _COUNTED], minlength=vocabulary_size)
    return counts


def most_frequent(
    counts: Mapping[str, int], size: int | None, minimum_count: int
) -> list[str]:
    """Return the most frequent entries, most frequent first.

    Args:
        counts: how often each was seen.
        size: most entries to return; None for all.
        minimum_count: how often an entry must have been seen.
    """
    kept = [entry for entry, count in counts.items() if count >= minimum_count]
    kept.sort(key=lambda entry: (-counts[entry], entry))
    return kept[:size]


def read_vocabulary(path: Path) -> list[str]:
    """Read a vocabulary file: UTF-8, one word a line.

    Raises:
        InputError: an unreadable file, an empty line, white space inside a word, or a
            word that stands there twice.
    """
    lines = TextFile(path).read().split("\n")
    if lines[-1] == "":
        lines.pop()
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 1:
            found = "an empty line" if not words else f"{len(words)} words"
            raise InputError(
                f"{path}: line {number}: expected one word, found {found}."
            )
        if words[0] in seen:
            raise InputError(
                f"{path}: line {number}: '{words[0]}' already stands in line "
                f"{seen[words[0]]}. Give each word once."
            )
        seen[words[0]] = number
    if not seen:
        raise InputError(f"{path}: expected words, one a line; the file is empty.")
    return list(seen)


def _without_rarest(counts: Counter[str]) -> Counter[str]:
    """Forget the rarest words, so many that at most half of `MOST_WORDS` stay."""
    by_count = Counter(counts.values())
    kept, least = len(counts), 0
    while kept > MOST_WORDS // 2:
        least += 1
        kept -= by_count[least]
    return Counter({word: count for word, count in counts.items() if count > least})
