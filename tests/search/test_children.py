"""Processes of a search: who is interrupted, and who is not."""

import os
import signal
import subprocess
import sys

import pytest

DEAF = """
import sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
from keras_rnnlm.search.children import leave_interrupts_to_parent
leave_interrupts_to_parent()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupts_are_left_to_the_parent_by_threads_that_were_there_before():
    """As those of numerical libraries, which begin when they are imported."""
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
