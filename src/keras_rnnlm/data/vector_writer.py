"""Writing word vectors in word2vec's formats, which other tools read."""

import gzip
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError

FORMATS = ("text", "binary")


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that a name stands for: `binary` for `.bin`, else `text`."""
    name = Path(path).name.removesuffix(".gz")
    return "binary" if name.endswith(".bin") else "text"


def write_vectors(
    path: str | os.PathLike[str],
    words: Sequence[str],
    matrix: NDArray[np.floating],
    format: str | None = None,
) -> None:
    """Write vectors in word2vec's text or binary format.

    The file is complete or, after any failure, as it was before. Text holds nine
    digits, from which each float32 comes back as it was.

    Args:
        path: Where to; `.gz` at its end compresses.
        words: As `vector_words.file_word` writes them.
        matrix: (words, width).
        format: `text` or `binary`; by the name of the file if None.

    Raises:
        InputError: A word comes twice or holds a space, or a number is not finite.
        OSError: The file cannot be written.
    """
    format = format_of(path) if format is None else format
    if format not in FORMATS:
        raise InputError(
            f"Expected the format {' or '.join(FORMATS)}, received '{format}'."
        )
    _check(words, matrix)
    rows = np.asarray(matrix, "<f4")
    with _replacing(Path(path)) as stream:
        stream.write(f"{len(words)} {rows.shape[1]}\n".encode())
        for word, row in zip(words, rows, strict=True):
            key = word.encode("utf-8", "backslashreplace")
            if format == "binary":
                stream.write(key + b" " + row.tobytes())
            else:
                numbers = " ".join([f"{number:.9g}" for number in row.tolist()])
                stream.write(key + b" " + numbers.encode() + b"\n")


def _check(words: Sequence[str], matrix: NDArray[np.floating]) -> None:
    if matrix.ndim != 2 or len(words) != len(matrix) or not len(words):
        raise InputError(
            f"Expected a vector for each of {len(words)} words, received an array of "
            f"shape {matrix.shape}."
        )
    if len(set(words)) < len(words):
        word, count = Counter(words).most_common(1)[0]
        raise InputError(
            f"Expected each word once, received '{word}' {count} times. A file of "
            "vectors knows words by how they are written."
        )
    if (found := next((w for w in words if w.split() != [w]), None)) is not None:
        raise InputError(
            f"Expected words without white space, received {found!r}: they end at a "
            "space in such a file."
        )
    if not np.isfinite(matrix).all():
        raise InputError("Expected finite numbers, received vectors with others.")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write beside a file, and put it in its place once all is written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as raw:
            if path.name.endswith(".gz"):
                # Without a name or a time in it: the same vectors are the same file.
                with gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
                    yield cast(BinaryIO, stream)
            else:
                yield raw
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
