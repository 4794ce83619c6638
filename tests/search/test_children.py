"""Processes of a search: who is interrupted, and who is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rnnlm.search.children import Child

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


def test_modules_of_the_current_folder_are_not_taken_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "answer.py").write_text(
        "import queue\nfrom keras_rnnlm.search.children import specification_of\n"
        "print(specification_of()['text'])\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "answer.py").rename(elsewhere / "answer.py")
    monkeypatch.syspath_prepend(str(elsewhere))
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"
    child = Child("answer", {"text": '{"heard": 7}'}, log, listen=True)
    assert list(child.messages()) == [{"heard": 7}], log.read_text()
    assert child.wait(60) == 0
    child.close()
