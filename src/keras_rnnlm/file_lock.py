"""A lock on a file, for one process at a time."""

import os
from typing import BinaryIO


def try_lock(stream: BinaryIO) -> bool:
    """Lock an open file for this process; false where another one holds it.

    The lock goes with the stream: the system frees it however the process ends.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
