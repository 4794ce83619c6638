r"""Cutting a text into blocks that can be tokenized one by one.

The ids of the pieces, put together, are the ids of the whole. A cut behind a line end
is safe for every tokenizer. Inside a line that is longer than a block it depends on the
tokenizer, which says so by a function from a text to the last place, counted in
characters, at which the text may be cut; 0 if there is none.
"""

import re
from collections.abc import Callable, Iterator

from keras_rnnlm.data.text_file import BLOCK_CHARACTERS, TextFile
from keras_rnnlm.errors import InputError

LONGEST_UNCUT = 1 << 24
_TAIL = 1 << 12
_BEFORE_SPACE = re.compile(r"(?<=\S)(?=[ \t\u3000])")
_CLAUSE = re.compile(r"(?<=\S)(?=[ \t\u3000])|(?<=[。！？；，、：])(?=[\u4e00-\u9fa5])")

LastCut = Callable[[str], int]


def last_cut_anywhere(text: str) -> int:
    """Cut at the end: right for tokenizers that look at single characters."""
    return len(text)


def last_cut_at_space(text: str) -> int:
    """Cut before the last space that follows something else."""
    return _last(_BEFORE_SPACE, text)


def last_cut_at_clause(text: str) -> int:
    """Cut as at a space, or between Chinese punctuation and a Chinese character.

    Byte-level pre-tokenization and jieba both end a token at each of these places.
    """
    return _last(_CLAUSE, text)


def safe_blocks(
    file: TextFile,
    characters: int = BLOCK_CHARACTERS,
    last_cut: LastCut = last_cut_at_space,
) -> Iterator[str]:
    """Yield the text of a file in pieces that can be tokenized apart.

    Args:
        file: what to read.
        characters: about how much to yield at a time. Lines that are longer are cut
            where `last_cut` says.
        last_cut: see the module's docstring.

    Raises:
        InputError: 16,777,216 characters without a line end or a place to cut.
    """
    held = ""
    for block in file.blocks(characters):
        held += block
        cut = held.rfind("\n", len(held) - len(block)) + 1 or last_cut(held)
        if cut:
            yield held[:cut]
            held = held[cut:]
        elif len(held) > LONGEST_UNCUT:
            raise InputError(
                f"{file.name}: expected lines or words, found more than "
                f"{LONGEST_UNCUT:,} characters without a line end or a space. "
                "Break the text into lines, or use --tokenizer char."
            )
    if held:
        yield held


def _last(pattern: re.Pattern[str], text: str) -> int:
    """Return the last place where the pattern matches; 0 if nowhere."""
    for start in (max(len(text) - _TAIL, 0), 0):
        places = [match.start() for match in pattern.finditer(text, start)]
        if places:
            return places[-1]
    return 0
