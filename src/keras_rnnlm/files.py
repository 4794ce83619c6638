"""Files that are whole, or as they were before."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint.safetensors"
"""In the folder of a run that has not finished."""
EVALUATION = "evaluation.json"
"""In the folder of a model or ensemble whose evaluation was tuned."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or, after any crash, as it was before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_bytes(value: Any) -> bytes:
    """Return a value as indented UTF-8 JSON with a line end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
