"""Text files as streams of characters: finding, reading, splitting, sampling.

This module finds the files that a user names; the rest of what one does with them is
gathered here by name: `TextFile`, `safe_blocks`, `split_files`, `held_out_tail`,
`sample_text`, `uses_spaces`, `shared_lines`.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from keras_rnnlm.data.blocks import (
    last_cut_anywhere,
    last_cut_at_clause,
    last_cut_at_space,
    safe_blocks,
)
from keras_rnnlm.data.encodings import (
    binary_kind,
    check_encoding,
    check_head,
    decoded_blocks,
    read_head,
)
from keras_rnnlm.data.samples import sample_text, shared_lines, uses_spaces
from keras_rnnlm.data.splits import held_out_tail, split_files
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.errors import InputError

__all__ = [
    "TextFile",
    "find_files",
    "held_out_tail",
    "last_cut_anywhere",
    "last_cut_at_clause",
    "last_cut_at_space",
    "safe_blocks",
    "sample_text",
    "shared_lines",
    "split_files",
    "uses_spaces",
]

_copies: dict[Any, TextFile] = {}
"""Of standard input and other pipes."""


def find_files(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    encoding: str = "utf-8",
) -> list[TextFile]:
    """Find the text files that some paths name.

    Args:
        paths: files, directories and "-". Of a directory, the text files in it and in
            its sub-directories are taken in sorted order; hidden, empty and binary
            files are left out. "-" is standard input; it and other pipes are copied to
            a temporary file, which is removed when the program ends. Standard input
            that is asked for again is the copy.
        encoding: the encoding of all of them.

    Raises:
        InputError: nothing given, an unknown encoding, or a path that is missing,
            unreadable, empty, binary, marked as another encoding, or a directory
            without text.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    encoding = check_encoding(encoding)
    files: list[TextFile] = []
    for given in paths:
        path = Path(given)
        if str(given) == "-":
            source = _standard_input()
            files.append(_copied_once(source, source, "standard input", encoding))
        elif path.is_dir():
            inside = [TextFile(found, encoding) for found in _texts_in(path)]
            if not inside:
                raise InputError(
                    f"{path}: expected a folder with text files, found none in it. "
                    "Hidden, empty and binary files are left out."
                )
            files.extend(inside)
        elif path.is_file():
            files.append(_checked(TextFile(path, encoding)))
        elif path.exists():
            with _opened(path) as pipe:
                # The shell's <(command); a pipe with a name may be filled anew.
                once = str(path).startswith(("/dev/fd/", "/proc/self/fd/"))
                key = _identity(pipe) if once else object()
                files.append(_copied_once(key, pipe, str(path), encoding))
        else:
            raise InputError(
                f"{path}: no such file. Expected a text file, a folder of text files, "
                "or - for standard input."
            )
    if not files:
        raise InputError("Expected at least one text file, received none.")
    return files


def _checked(file: TextFile) -> TextFile:
    """Return the file if it begins like a text; raise InputError if not."""
    head = read_head(file.path, file.name)
    check_head(head, file.encoding, file.name)
    first = next(decoded_blocks(file.path, file.encoding, file.name), None)
    if first is None or not first.text:
        raise InputError(f"{file.name}: expected text, but the file is empty.")
    return file


def _texts_in(folder: Path) -> Iterator[Path]:
    """Yield the text files below a folder in sorted order."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}). Make it readable, "
            "or name the files that are to be read."
        )

    seen = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        found = os.stat(parent)
        if (found.st_dev, found.st_ino) in seen:  # a link to where we have been
            folders[:] = []
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            head = read_head(path, str(path))
            if head and binary_kind(head) is None:
                yield path


def _standard_input() -> BinaryIO:
    """Return standard input; raise InputError if the program began without one."""
    if sys.stdin is None:
        raise InputError(
            "standard input: expected text, but it is closed. Pipe a text into the "
            "command, or name a file in the place of -."
        )
    return sys.stdin.buffer


def _opened(path: Path) -> BinaryIO:
    """Open a pipe or device for reading."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _copied_once(key: Any, source: BinaryIO, name: str, encoding: str) -> TextFile:
    """Return the copy of what can be read only once, made when first asked for."""
    if key not in _copies:
        _copies[key] = _spooled(source, name, encoding)
    return replace(_copies[key], encoding=encoding)


def _identity(pipe: BinaryIO) -> tuple[int, int]:
    found = os.fstat(pipe.fileno())
    return found.st_dev, found.st_ino


def _spooled(source: BinaryIO, name: str, encoding: str) -> TextFile:
    """Copy what can be read only once to a temporary file."""
    try:
        with tempfile.NamedTemporaryFile(prefix="rnnlm-", delete=False) as copy:
            atexit.register(Path(copy.name).unlink, missing_ok=True)
            shutil.copyfileobj(source, copy, 1 << 20)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be copied to {tempfile.gettempdir()} ({error.strerror}). "
            "Make room there, or set TMPDIR to another folder."
        ) from None
    return _checked(TextFile(Path(copy.name), encoding, name=name))
