"""Tell the C allocator to keep freed memory, which a training step needs again at once.

A step frees and asks again for the same large arrays (logits, their gradient). By
default glibc hands such blocks back to the system each time, and the kernel clears
every page anew: a quarter of the time of a small model's step. See
`docs/decisions/005-keep-freed-memory.md`.
"""

import ctypes
import sys

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Make glibc serve all blocks from one heap that does not shrink.

    Call it before threads are started. Memory that was freed stays with this process.

    Returns:
        Whether it was done; False where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {
        _MMAP_MAX: 0,
        _ARENA_MAX: 1,
        _TRIM_THRESHOLD: 2**31 - 1,
        _TOP_PAD: 64 << 20,
    }
    return all([library.mallopt(name, value) for name, value in settings.items()])
