"""Files that are whole, or as they were before."""

import json
import os
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint.safetensors"
"""In the folder of a run that has not finished."""


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


def json_bytes(value: Any) -> bytes:
    """Return a value as indented UTF-8 JSON with a line end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
