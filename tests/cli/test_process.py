import time
from pathlib import Path

import pytest

from keras_rnnlm.cli import process


def test_when_the_process_began() -> None:
    assert process.started_at() <= time.monotonic()
    assert process.started_at() == pytest.approx(process.started_at(), abs=1)


def test_where_no_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", hidden)
    assert process.started_at() == process._IMPORTED


def test_how_the_program_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program = tmp_path / "a folder" / "rnnlm"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program), "demo"])
    assert process.program() == f"'{program}'"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rnnlm").symlink_to(program)
    assert process.program() == "rnnlm"
    monkeypatch.setattr("sys.argv", ["-m", "demo"])
    assert process.program() == "rnnlm"
