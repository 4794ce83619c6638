import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rnnlm.cli import demo


@pytest.mark.slow
def test_demo_and_the_commands_it_ends_with(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "rnnlm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m keras_rnnlm "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def shell(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = shell("rnnlm demo --minutes 0.25")
    rows = re.findall(r"^  (\w+).* ([\d,.]+)$", said, re.MULTILINE)
    figures = {name: float(value.replace(",", "")) for name, value in rows[:3]}
    assert figures["bigram"] < figures["unigram"]
    assert "It writes by itself:" in said
    assert f"It goes on from '{demo.PROMPT}':\n  {demo.PROMPT}" in said
    assert (tmp_path / "runs/demo/model.safetensors").exists()
    report = json.loads((tmp_path / "runs/demo/report.json").read_text("utf-8"))
    assert report["command"] == ["rnnlm", "demo", "--minutes", "0.25"]
    commands = re.findall(r"^  ((?:echo .*)?rnnlm .*)$", said, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert shell(command).strip()
