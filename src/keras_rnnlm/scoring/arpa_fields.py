"""The fields of many lines of an ARPA file at once, column by column."""

import numpy as np
from numpy.typing import NDArray

_SPACE = np.isin(np.arange(256), [*b" \t\n\r\x0b\x0c"])


def columns_of(lines: list[bytes], n: int) -> list[list[bytes]] | None:
    """Return the fields of lines by column: number, n words, back-off (`0` if absent).

    None if a line has another number of fields.
    """
    counts = _fields_of(lines)
    if not np.isin(counts, (n + 1, n + 2)).all():
        return None
    if (counts == counts[0]).all():
        # One list of all fields is quicker than a list for each line.
        fields, width = b"".join(lines).split(), int(counts[0])
        columns = [fields[place::width] for place in range(width)]
        return columns if width == n + 2 else [*columns, [b"0"] * len(lines)]
    rows = [[*line.split(), b"0"] for line in lines]
    return [[row[place] for row in rows] for place in range(n + 2)]


def _fields_of(lines: list[bytes]) -> NDArray[np.int64]:
    """Return how many fields each line has, as `bytes.split` finds them."""
    if not lines:
        return np.zeros(1, np.int64)
    space = _SPACE[np.frombuffer(b"".join(lines), np.uint8)]
    begins = ~space
    begins[1:] &= space[:-1]
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    counts: NDArray[np.int64] = np.add.reduceat(
        begins, np.cumsum(lengths) - lengths, dtype=np.int64
    )
    return counts
