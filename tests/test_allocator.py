"""The allocator keeps freed memory: seen from the process's own page faults."""

import platform
import subprocess
import sys

import pytest

from keras_rnnlm.allocator import keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"

SCRIPT = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from keras_rnnlm.allocator import keep_freed_memory
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    command = [sys.executable, "-c", SCRIPT, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="is about glibc")
def test_pages_are_not_given_back_and_cleared_again() -> None:
    assert faults("keep") < faults("default") / 4


@pytest.mark.skipif(GLIBC, reason="is about systems without glibc")
def test_elsewhere_it_says_that_it_did_nothing() -> None:
    assert keep_freed_memory() is False
