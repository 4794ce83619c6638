"""Texts as token ids: encoded once, in bounded memory, and mapped from disk.

A store is one array of ids for a list of files. Tokenizers that end each line with a
token (word, byte-pair, unigram) have that token at the very front too, so that the
first token of the text is predicted like any other: ids = [eos] + file 1 + file 2.
Characters have the newline as a symbol like others and nothing is added.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.cache import read_entry, writing
from keras_rnnlm.data.encoded_text import EncodedText, TextCounts
from keras_rnnlm.data.pieces import (
    EncodedPiece,
    Piece,
    encode_piece,
    id_dtype,
    mark_last,
)
from keras_rnnlm.data.processes import encode_pieces, process_count
from keras_rnnlm.data.segments import Positions
from keras_rnnlm.data.text import TextFile, safe_blocks, uses_spaces
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.user_cache import cache_folder

# Part of each cache key: raise it when the same text and tokenizer give other ids or
# other counts than before.
STORE_FORMAT = 1
_SAMPLE = 100_000

Progress = Callable[[int, int], None]

__all__ = ["EncodedText", "TextCounts", "encode_files", "encode_texts"]


def encode_files(
    files: list[TextFile],
    tokenizer: Tokenizer,
    cache: Path | str | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> EncodedText:
    """Encode files into the cache, or find them there, and map the ids.

    The text is read once to compute its hash and, unless the cache has it, once more
    to encode it. Neither takes memory that grows with the text. The ids do not depend
    on the number of processes.

    Args:
        files: what to encode, in this order.
        tokenizer: what turns text into ids.
        cache: folder of the cache; None for `$RNNLM_CACHE` or the user's own.
        progress: called with (characters done, characters in all).
        processes: how many to use; None for one a core where the text is large.

    Raises:
        InputError: a file cannot be decoded, or changes meanwhile, or the cache cannot
            be written to.
    """
    digest, characters = _hash(files)
    key = _key(digest, characters, tokenizer)
    folder = cache_folder(cache)
    entry = read_entry(folder, key)
    if entry is None:
        total = sum(characters)
        builder = _Builder(tokenizer, len(files))
        with writing(folder, key) as writer:
            writer.append(*builder.front())
            read_again = hashlib.sha256()
            pieces = encode_pieces(
                _hashed(_pieces(files, tokenizer), read_again),
                tokenizer,
                process_count(total) if processes is None else processes,
            )
            for piece in pieces:
                writer.append(*builder.add(piece))
                if progress is not None:
                    progress(builder.characters, total)
            if read_again.hexdigest() != digest:
                names = ", ".join(file.name for file in files[:3])
                raise InputError(
                    f"A text changed while it was read ({names}): first it had "
                    f"{total:,} characters, then {builder.characters:,}. Try again "
                    "when nobody writes to it."
                )
            writer.close(builder.facts())
        entry = read_entry(folder, key)
        if entry is None:
            raise OSError(f"What was just written to {folder} cannot be read back.")
    elif progress is not None:
        progress(sum(characters), sum(characters))
    return _text(
        entry.ids,
        entry.oov,
        entry.facts,
        tokenizer,
        raw_bytes=sum(file.raw_bytes for file in files),
        names=[file.name for file in files],
        sha256=digest,
    )


def encode_texts(texts: list[str], tokenizer: Tokenizer) -> EncodedText:
    """Encode texts in memory, each as a file would be.

    Their raw bytes are those of UTF-8.
    """
    builder = _Builder(tokenizer, len(texts))
    parts = [builder.front()]
    for number, text in enumerate(texts):
        piece = Piece(number, text, last=True)
        parts.append(builder.add(encode_piece(piece, tokenizer)))
    data = "".join(texts).encode("utf-8", "surrogatepass")
    return _text(
        np.concatenate([ids for ids, _ in parts]),
        np.concatenate([oov for _, oov in parts]),
        builder.facts(),
        tokenizer,
        raw_bytes=len(data),
        names=[f"text {number}" for number in range(1, len(texts) + 1)],
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _pieces(files: list[TextFile], tokenizer: Tokenizer) -> Iterator[Piece]:
    for number, file in enumerate(files):
        yield from mark_last(number, safe_blocks(file, last_cut=tokenizer.last_cut))


def _hashed(pieces: Iterator[Piece], digest: Any) -> Iterator[Piece]:
    """Yield the pieces; the hash takes in their text."""
    for piece in pieces:
        digest.update(piece.text.encode("utf-8", "surrogatepass"))
        yield piece


def _hash(files: list[TextFile]) -> tuple[str, list[int]]:
    """Return the hash of all text and the number of characters of each file."""
    digest = hashlib.sha256()
    characters = []
    for file in files:
        count = 0
        for block in file.blocks():
            digest.update(block.encode("utf-8", "surrogatepass"))
            count += len(block)
        characters.append(count)
    return digest.hexdigest(), characters


def _key(digest: str, characters: list[int], tokenizer: Tokenizer) -> str:
    """Return the name of the cache entry that this text and tokenizer have."""
    parts = [
        STORE_FORMAT,
        digest,
        characters,  # the same text cut into other files is another store
        tokenizer.to_json(),
        tokenizer.settings(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Builder:
    """Puts encoded pieces behind each other and keeps count."""

    def __init__(self, tokenizer: Tokenizer, files: int) -> None:
        self._start_id = tokenizer.start_id
        self._dtype = id_dtype(tokenizer.vocabulary_size)
        self._starts = np.zeros(files, dtype=np.int64)
        self._stops = np.zeros(files, dtype=np.int64)
        self._position = self._words = self._lines = self._oov = 0
        self._file = -1
        self._in_word = False
        self._sample = ""
        self.characters = 0

    def front(self) -> tuple[NDArray[np.unsignedinteger], Positions]:
        """Return what stands before the first file."""
        front = [] if self._start_id is None else [self._start_id]
        self._position = len(front)
        return np.array(front, dtype=self._dtype), np.empty(0, dtype=np.int64)

    def add(
        self, encoded: EncodedPiece
    ) -> tuple[NDArray[np.unsignedinteger], Positions]:
        """Take note of a piece; return its ids and where unknown tokens stand."""
        file, text = encoded.piece.file, encoded.piece.text
        oov = encoded.oov + self._position
        if file != self._file:
            self._file = file
            self._in_word = False
            # Nothing stands before the first character of a text.
            unpredicted = self._start_id is None and len(encoded.ids) > 0
            self._starts[file] = self._position + unpredicted
            oov = oov[oov >= self._starts[file]]
        self._position += len(encoded.ids)
        self._stops[file] = self._position
        if text:
            if self._in_word and not text[0].isspace():
                self._words -= 1  # one word, cut in two
            self._in_word = not text[-1].isspace()
            if len(self._sample) < _SAMPLE:
                self._sample += text[: _SAMPLE - len(self._sample)]
        self.characters += len(text)
        self._words += encoded.words
        self._lines += encoded.lines
        self._oov += len(oov)
        return encoded.ids, oov

    def facts(self) -> dict[str, Any]:
        """Return what a store has beside its ids."""
        return {
            "starts": self._starts.tolist(),
            "stops": self._stops.tolist(),
            "characters": self.characters,
            "words": self._words,
            "lines": self._lines,
            "oov": self._oov,
            "spaced": uses_spaces(self._sample),
        }


def _text(
    ids: NDArray[np.unsignedinteger],
    oov: Positions,
    facts: dict[str, Any],
    tokenizer: Tokenizer,
    raw_bytes: int,
    names: list[str],
    sha256: str,
) -> EncodedText:
    starts = np.array(facts["starts"], dtype=np.int64)
    stops = np.array(facts["stops"], dtype=np.int64)
    return EncodedText(
        ids=ids,
        starts=starts,
        stops=stops,
        oov_positions=oov,
        line_end_id=tokenizer.line_end_id,
        start_id=tokenizer.start_id,
        counts=TextCounts(
            raw_bytes=raw_bytes,
            characters=facts["characters"],
            words=facts["words"],
            lines=facts["lines"],
            oov=facts["oov"],
            tokens_predicted=int((stops - starts).sum()),
        ),
        spaced=facts["spaced"],
        names=names,
        sha256=sha256,
    )
