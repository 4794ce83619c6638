"""Looking at a text: samples of it, whether it has words, lines that come again."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_rnnlm.data.blocks import last_cut_anywhere, safe_blocks
from keras_rnnlm.data.text_file import TextFile

_SAMPLE_BLOCK = 1 << 16
_UNSPACED = (  # ranges of scripts that are written without spaces between words
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u0f00", "\u0fff"),  # Tibetan
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3040", "\u30ff"),  # Hiragana, Katakana
    ("\u3400", "\u4dbf"),  # Han, extension A
    ("\u4e00", "\u9fff"),  # Han
    ("\uf900", "\ufaff"),  # Han, compatibility
    ("\U00020000", "\U0003ffff"),  # Han, further extensions
)


def is_unspaced(character: str) -> bool:
    """Tell whether a character belongs to a script written without spaces."""
    return any(low <= character <= high for low, high in _UNSPACED)


def sample_text(files: Sequence[TextFile], characters: int, seed: int = 0) -> str:
    """Draw a sample of blocks of a text, in the order of the text.

    Args:
        files: what to sample.
        characters: most characters to return.
        seed: of the choice of blocks; the same seed gives the same sample.

    Returns:
        The whole text if it is short enough. Otherwise blocks of 65,536 characters,
        each trimmed to whole lines where it has line ends.
    """
    total = sum(file.characters for file in files)
    if total <= characters:
        return "".join(_ended(file.read()) for file in files)
    size = min(_SAMPLE_BLOCK, characters)
    lengths = np.array([n for file in files for n in _block_lengths(file, size)])
    order = np.random.default_rng(seed).permutation(len(lengths))
    # Blocks of short files are short: so many as make up the sample, the last cut off.
    enough = int(np.searchsorted(np.cumsum(lengths[order]), characters)) + 1
    chosen = np.zeros(len(lengths), bool)
    chosen[order[:enough]] = True
    taken = []
    number = 0
    for file in files:
        for block in file.blocks(size):
            if chosen[number]:
                taken.append(_whole_lines(block))
            number += 1
    return "".join(taken)[:characters]


def _block_lengths(file: TextFile, size: int) -> list[int]:
    """Return the numbers of characters of the blocks of a file."""
    whole, rest = divmod(file.characters, size)
    return [size] * whole + [rest] * (rest > 0)


def uses_spaces(sample: str) -> bool:
    """Tell whether a text is written with spaces between its words.

    True for a mean length of at most 20 characters between white space, or 4 where most
    letters belong to a script that is written without spaces (Chinese text that has
    been segmented into words has spaces; protein sequences have none).
    """
    words = sample.split()
    if not words:
        return False
    letters = sum(len(word) for word in words)
    unspaced = sum(map(is_unspaced, "".join(words)))
    return letters <= len(words) * (4 if 2 * unspaced > letters else 20)


def shared_lines(
    train: Sequence[TextFile], *others: Sequence[TextFile]
) -> tuple[int, ...]:
    """Count the lines of each of `others` that stand in `train`, which is read once.

    Lines are compared by 64-bit hashes, without white space at their ends; empty lines
    do not count, nor do lines of more than a million characters. Memory: 16 bytes for
    each line of `others`.
    """
    known = [np.unique(_all_hashes(other), return_counts=True) for other in others]
    seen = [np.zeros(len(hashes), bool) for hashes, _ in known]
    for file in train if any(map(len, seen)) else ():
        for block in safe_blocks(file, last_cut=last_cut_anywhere):
            found = _line_hashes(block)
            for (hashes, _), marks in zip(known, seen, strict=True):
                if len(hashes):
                    places = np.searchsorted(hashes, found).clip(max=len(hashes) - 1)
                    marks[places[hashes[places] == found]] = True
    return tuple(
        int(counts[marks].sum()) for (_, counts), marks in zip(known, seen, strict=True)
    )


def _all_hashes(files: Sequence[TextFile]) -> npt.NDArray[np.int64]:
    """Return the hashes of all lines of some files."""
    pieces = [
        _line_hashes(block)
        for file in files
        for block in safe_blocks(file, last_cut=last_cut_anywhere)
    ]
    return np.concatenate([np.zeros(0, np.int64), *pieces])


def _line_hashes(block: str) -> npt.NDArray[np.int64]:
    """Return the hashes of the non-empty lines of a block."""
    lines = [line for line in map(str.strip, block.split("\n")) if line]
    return np.fromiter(map(hash, lines), np.int64, len(lines))


def _whole_lines(block: str) -> str:
    """Leave out the broken lines at both ends of a block, if it has line ends."""
    first, last = block.find("\n"), block.rfind("\n")
    return block[first + 1 : last + 1] if first < last else _ended(block)


def _ended(text: str) -> str:
    """Add the line end that the last line lacks."""
    return text if text.endswith("\n") or not text else text + "\n"
