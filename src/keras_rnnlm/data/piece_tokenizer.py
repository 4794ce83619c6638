r"""Sub-word pieces of UTF-8 bytes: byte-pair encoding and unigram models.

Every text can be written with them, so that nothing is unknown, and comes back exactly.
The line end is a piece of its own: pieces never contain "\n" beside anything else.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_rnnlm.data.blocks import last_cut_at_clause
from keras_rnnlm.data.decoders import ByteDecoder, Decoder
from keras_rnnlm.data.tokenizer_base import EOS, Ids, Positions, Tokenizer
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    pass

_CHUNK = 1 << 16


def byte_symbols() -> list[str]:
    """Return the printable character that stands for each byte in the saved pieces.

    It is the alphabet of the `tokenizers` library's `ByteLevel`: Latin-1's printable
    characters stand for themselves, the other bytes for U+0100, U+0101, ….
    """
    itself = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in itself)
    moved = {byte: 0x100 + index for index, byte in enumerate(others)}
    return [chr(moved.get(byte, byte)) for byte in range(256)]


class PieceTokenizer(Tokenizer, kinds=("bpe", "unigram")):
    """Pieces of bytes, found by the `tokenizers` library.

    Args:
        kind: "bpe" or "unigram".
        json_text: the library's JSON of a byte-level tokenizer with a piece for each
            byte.

    Attributes:
        pieces: the bytes of each id.
    """

    unk_id: None
    eos_id: int

    def __init__(self, kind: str, json_text: str) -> None:
        """See the class."""
        import tokenizers

        self.kind = kind
        self._library: tokenizers.Tokenizer = tokenizers.Tokenizer.from_str(json_text)
        byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        vocabulary = self._library.get_vocab()
        missing = [symbol for symbol in byte_of if symbol not in vocabulary]
        if missing or sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise InputError("Expected a byte-level tokenizer with a piece a byte.")
        pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
        self.pieces = [bytes(byte_of[symbol] for symbol in piece) for piece in pieces]
        self.unk_id = None
        self.eos_id = self.pieces.index(b"\n")
        self.tokens = [
            piece.decode("utf-8", "backslashreplace") for piece in self.pieces
        ]
        self.tokens[self.eos_id] = EOS

    def decoder(self) -> Decoder:
        """Return a decoder that holds a character back until it is complete."""
        return ByteDecoder(self.pieces)

    def last_cut(self, text: str) -> int:
        """Cut before a space or after a clause: pieces reach across neither."""
        return last_cut_at_clause(text)

    def split(self, text: str) -> list[int]:
        """Return the bytes of each word that pieces of a text stay within."""
        splitter = self._library.pre_tokenizer
        # Each byte is one character of the words that the library returns.
        return [len(word) for word, _ in splitter.pre_tokenize_str(text)]

    def to_json(self) -> str:
        """Return the library's own JSON."""
        return str(self._library.to_str(pretty=True))

    def _encode(self, text: str) -> tuple[Ids, Positions]:
        # By lines, some at a time: the library keeps a hundred bytes for each piece.
        parts = [
            np.array(self._library.encode(chunk).ids, np.int32)
            for chunk in chunks_of_lines(text)
        ]
        return np.concatenate([np.zeros(0, np.int32), *parts]), np.zeros(0, np.int64)

    @classmethod
    def _restore(
        cls, data: dict[str, Any], settings: Mapping[str, Any]
    ) -> "PieceTokenizer":
        import json

        return cls(settings["kind"], json.dumps(data))


def chunks_of_lines(text: str) -> list[str]:
    """Cut a text behind line ends into chunks of at least 65,536 characters."""
    chunks = []
    start = 0
    while start < len(text):
        stop = text.find("\n", start + _CHUNK) + 1 or len(text)
        chunks.append(text[start:stop])
        start = stop
    return chunks
