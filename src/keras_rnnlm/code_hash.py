"""Which code made a run: a version is the same at every commit, this is not."""

import hashlib
from functools import lru_cache
from pathlib import Path

from keras_rnnlm.own_code import imported_files


def code_hash() -> str:
    """Return the SHA-256 of all source files, names included.

    They are those of this package and the user's own that were imported, as they stood
    when this process first asked: what a long run was begun with, not what is on the
    disk at its end.
    """
    return _hash_with(imported_files())


@lru_cache(maxsize=8)
def _hash_with(own: tuple[Path, ...]) -> str:
    root = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".cc", ".h", ".toml") and path.is_file():
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    for path in own:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
