"""Splitting a text into parts for training, validation and testing."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.errors import InputError

HELD_OUT_SHARE = 0.05
HELD_OUT_MOST = 1_000_000


def split_files(
    files: Sequence[TextFile], fractions: Sequence[float], at_lines: bool
) -> list[list[TextFile]]:
    """Split the concatenation of some files by shares of its characters.

    With n characters in all, the first part ends behind character `int(f * n)`: nanoGPT
    trains on the first 1,003,854 of tinyshakespeare's 1,115,394 characters for f = 0.9.

    Args:
        files: what to split.
        fractions: the share of each part, more than 0; together at most 1.
        at_lines: move each boundary on to the next line end (or end of a file).

    Returns:
        One list of files, or parts of files, for each fraction.

    Raises:
        InputError: impossible fractions, or a part would be empty.
    """
    # What is not a number is neither above 0 nor below it.
    positive = bool(fractions) and all(fraction > 0 for fraction in fractions)
    if not (positive and math.fsum(fractions) <= 1 + 1e-9):
        raise InputError(
            "Expected fractions above 0 that add up to at most 1, such as 0.9,0.1; "
            f"received {','.join(f'{fraction:g}' for fraction in fractions)}."
        )
    total = sum(file.characters for file in files)
    cuts = [0]
    for index in range(len(fractions)):
        share = math.fsum(fractions[: index + 1])
        cut = total if share > 1 - 1e-9 else int(share * total)
        cuts.append(_next_line_start(files, cut) if at_lines else cut)
    parts = [_between(files, begin, end) for begin, end in pairwise(cuts)]
    for number, part in enumerate(parts, 1):
        if not part:
            raise InputError(
                f"The text is too short to split: part {number} of {len(parts)} would "
                f"be empty ({total:,} characters in all). Give more text, other "
                "fractions, or separate files."
            )
    return parts


def held_out_tail(
    files: Sequence[TextFile], at_lines: bool
) -> tuple[list[TextFile], list[TextFile], list[TextFile]]:
    """Hold out the tail of a text: 5% for validation, then 5% for testing.

    Args:
        files: what to split.
        at_lines: move each boundary on to the next line end (or end of a file).

    Returns:
        Training, validation and test parts. The held-out parts have at most 1,000,000
        characters each (and the rest of a line); they are empty for a text of so few
        lines that nothing is left to hold out. The training part never is.
    """
    total = sum(file.characters for file in files)
    size = min(int(HELD_OUT_SHARE * total), HELD_OUT_MOST)
    cuts = [total - 2 * size, total - size]
    if at_lines:
        cuts = [_next_line_start(files, cut) for cut in cuts]
    return (
        _between(files, 0, cuts[0]),
        _between(files, cuts[0], cuts[1]),
        _between(files, cuts[1], total),
    )


def _next_line_start(files: Sequence[TextFile], position: int) -> int:
    """Return the first beginning of a line at or behind a place in the text."""
    begin = 0
    for file in files:
        if begin < position < begin + file.characters:
            # A boundary that already follows a line end stays where it is.
            at = position - 1
            rest = replace(file, start=file.start + at - begin)
            for block in rest.blocks():
                found = block.find("\n")
                if found >= 0:
                    return at + found + 1
                at += len(block)
            return begin + file.characters
        begin += file.characters
    return position


def _between(files: Sequence[TextFile], begin: int, end: int) -> list[TextFile]:
    """Return the files, or parts of files, between two places in the text."""
    parts = []
    position = 0
    for file in files:
        first = max(begin - position, 0)
        last = min(end - position, file.characters)
        if first < last:
            whole = first == 0 and last == file.characters
            start = file.start + first
            stop = file.start + last
            parts.append(file if whole else replace(file, start=start, stop=stop))
        position += file.characters
    return parts
