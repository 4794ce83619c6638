r"""What is true of a place in a text: inside quotes, late in a line, after a digit.

Each property is decided character by character from the text alone, and stands for the
place behind a token: after reading it, is one inside quotes? A model that predicts well
has reason to know.
"""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.samples import uses_spaces

OPENING = {"“": "”", "‘": "’", "「": "」", "『": "』", "«": "»"}
BRACKETS = {
    "(": ")",
    "[": "]",
    "{": "}",
    "（": "）",
    "［": "］",
    "【": "】",
    "〔": "〕",
    "《": "》",
    "〈": "〉",
}
# A mark that is never closed ends here, so that it does not turn the text inside out.
LONGEST_QUOTE = 1000
ENDINGS = ".,;:!?。，、；：！？…"

NAMES = {
    "line": "late in its line",
    "clause": "late in its clause",
    "quotes": "inside quotes",
    "brackets": "inside brackets",
    "digit": "after a digit",
    "capital": "after a capital letter",
    "word": "at the end of a word",
}
"""The properties, with words for them."""

Places = NDArray[np.float64]


def properties(pieces: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Decide all properties of the places behind some tokens.

    Args:
        pieces: the text of each token, in order.

    Returns:
        By name an array (len(pieces),). "late" is beyond the median of the text's
        characters since the line began, or since the last mark that parts clauses.
        A word ends before what is no letter and no digit, and in texts with spaces
        alone.
    """
    text = "".join(pieces)
    ends = np.cumsum([len(piece) for piece in pieces])
    behind = np.maximum(ends - 1, 0)  # the last character read
    line = _since(text, lambda c: c == "\n")[behind]
    clause = _since(text, lambda c: c in ENDINGS or c == "\n")[behind]
    flags = {
        "line": line > np.median(line),
        "clause": clause > np.median(clause),
        "quotes": _quoted(text)[behind],
        "brackets": _bracketed(text)[behind],
        "digit": np.array([c.isdigit() for c in text], bool)[behind],
        "capital": np.array([c.isupper() for c in text], bool)[behind],
    }
    letter = np.array([unicodedata.category(c)[0] in "LN" for c in text], bool)
    following = np.append(letter[1:], False)
    spaced = uses_spaces(text)
    flags["word"] = (letter & ~following & spaced)[behind]
    return flags


def _since(text: str, begins: Callable[[str], bool]) -> Places:
    """Characters since the last one at which something begins, that one being 0."""
    places = np.arange(len(text), dtype=np.float64)
    marks = np.array([begins(c) for c in text], bool)
    last = np.maximum.accumulate(np.where(marks, places, -1.0))
    since: Places = places - last
    return since


def _quoted(text: str) -> NDArray[np.bool_]:
    inside = np.zeros(len(text), bool)
    closing, begun = "", 0
    for i, c in enumerate(text):
        if closing and (c == closing or i - begun > LONGEST_QUOTE):
            closing = ""
        elif not closing and c in OPENING and not _is_apostrophe(text, i):
            closing, begun = OPENING[c], i
        elif not closing and c == '"':
            closing, begun = '"', i
        inside[i] = bool(closing)
    return inside


def _is_apostrophe(text: str, i: int) -> bool:
    return text[i] == "‘" and i > 0 and text[i - 1].isalpha()


def _bracketed(text: str) -> NDArray[np.bool_]:
    inside = np.zeros(len(text), bool)
    waiting: list[tuple[str, int]] = []
    for i, c in enumerate(text):
        if waiting and i - waiting[0][1] > LONGEST_QUOTE:
            waiting.pop(0)
        if c in BRACKETS:
            waiting.append((BRACKETS[c], i))
        elif any(c == closing for closing, _ in waiting):
            while waiting and waiting.pop()[0] != c:
                pass
        inside[i] = bool(waiting)
    return inside
