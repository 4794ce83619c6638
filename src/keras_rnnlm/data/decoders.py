r"""Ids to text, one at a time, as a sample is made.

`push` returns the text that an id adds, and `flush` what is still held back. All pieces
together are what `Tokenizer.decode` returns for the same ids.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from keras_rnnlm.data.samples import is_unspaced
from keras_rnnlm.errors import InputError

Token = TypeVar("Token", str, bytes)


class Decoder(ABC):
    """Turns ids into text, one at a time."""

    @abstractmethod
    def push(self, token: int) -> str:
        """Return the text that this id adds; it may be empty.

        Raises:
            InputError: the id is outside the vocabulary.
        """

    def flush(self) -> str:
        """Return what is still held back, and start afresh."""
        return ""


def _look_up(tokens: Sequence[Token], token: int) -> Token:
    """Return an id's token."""
    if not 0 <= token < len(tokens):
        raise InputError(
            f"Expected an id from 0 to {len(tokens) - 1}, received {token}."
        )
    return tokens[token]


class CharacterDecoder(Decoder):
    """Each id is a text of its own."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Take each id's text."""
        self._texts = texts

    def push(self, token: int) -> str:
        """Return the character."""
        return _look_up(self._texts, token)


class WordDecoder(Decoder):
    """Words with a space between them, and line ends.

    Args:
        words: each id's word.
        eos_id: the id of the line end.
        segmented: the words come from a segmenter, so that no space belongs beside a
            character of a script that is written without spaces.
    """

    def __init__(self, words: Sequence[str], eos_id: int, segmented: bool) -> None:
        """See the class."""
        self._words = words
        self._eos_id = eos_id
        self._segmented = segmented
        self._before = ""

    def push(self, token: int) -> str:
        """Return the word, and the space before it."""
        if token == self._eos_id:
            self._before = ""
            return "\n"
        word = _look_up(self._words, token)
        space = " " if self._before and self._spaced(self._before, word) else ""
        self._before = word
        return space + word

    def flush(self) -> str:
        """Start afresh: the next word begins a text."""
        self._before = ""
        return ""

    def _spaced(self, before: str, word: str) -> bool:
        """Tell whether a space belongs between two words."""
        if not self._segmented:
            return True
        sides = before[-1], word[0]
        return all(side.isalnum() and not is_unspaced(side) for side in sides)


class ByteDecoder(Decoder):
    """Each id is some bytes of UTF-8 text.

    A character comes out when its last byte is there. Bytes that cannot be UTF-8 come
    out as U+FFFD as soon as that is certain.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Take each id's bytes."""
        self._pieces = pieces
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Return the characters that these bytes complete."""
        return self._utf8.decode(_look_up(self._pieces, token))

    def flush(self) -> str:
        """Return U+FFFD for a character that was left incomplete."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest
