"""The example of the tutorial's recipe, run as its reader runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, CHECKOUT / "examples" / "prefix_recipe.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


def losses(printed: str) -> list[str]:
    return re.findall(r"^  (?:prefixes|sentences) +loss (\d+\.\d{4})", printed, re.M)


def test_two_sentences_run_by_themselves() -> None:
    done = run("--epochs", "2", "--units", "8", "--embedding", "8")
    assert done.returncode == 0, done.stderr
    assert "Lines for training: 1, for test: 1." in done.stdout
    assert "7 prefixes of 7 tokens" in done.stdout
    assert "on 7 tokens, 2 of them unknown" in done.stdout
    prefixes, sentences = losses(done.stdout)
    assert float(prefixes) == pytest.approx(float(sentences), abs=2e-4)
    assert "sentences take 14.29% of the padded steps (25.00%" in done.stdout


def test_chinese_text_is_read_by_characters(chinese_file: Path) -> None:
    done = run(
        *("--text", str(chinese_file), "--lines", "5", "--epochs", "1"),
        *("--units", "8", "--embedding", "8"),
    )
    assert done.returncode == 0, done.stderr
    assert "Lines for training: 4, for test: 1. Different tokens (char)" in done.stdout
    prefixes, sentences = losses(done.stdout)
    assert float(prefixes) == pytest.approx(float(sentences), abs=2e-4)


def test_a_missing_text_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = run("--text", str(tmp_path / "absent.txt"))
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr
