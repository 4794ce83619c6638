"""Files that are whole, or as they were before."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint.safetensors"
"""In the folder of a run that has not finished."""
EVALUATION = "evaluation.json"
"""In the folder of a model or ensemble whose evaluation was tuned."""
REPORT, CARD = "report.json", "README.md"
"""What is said of the weights that lie beside them."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or, after any crash, as it was before."""
    write_files(path.parent, {path.name: content})


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that belong together: where one cannot be, none is.

    Args:
        folder: Where they lie; it exists.
        contents: Name to content. They are moved to their places in this order.

    Raises:
        OSError: A file cannot be written, on a full disk for example; all are as they
            were.
    """
    partial = {name: folder / f".{name}.{os.getpid()}.partial" for name in contents}
    try:
        for name, content in contents.items():
            with partial[name].open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        for name, path in partial.items():
            path.replace(folder / name)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_bytes(value: Any) -> bytes:
    """Return a value as indented UTF-8 JSON with a line end.

    What is no text in a string (bytes of a file's name, say) becomes an escape.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
