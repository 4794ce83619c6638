import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from keras_rnnlm.cli import main
from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.main import rnnlm, run
from keras_rnnlm.errors import InputError

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    """A verb `fail` that raises whatever the test sets as its `error`."""

    @click.command(cls=Verb)
    def fail() -> None:
        raise Fault.error

    class Fault(Exception):
        error: BaseException = InputError("expected a, received b.")

    monkeypatch.setitem(rnnlm.commands, "fail", fail)
    return Fault


def test_help_names_every_verb(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    for verb in rnnlm.commands:
        assert f"\n  {verb} " in said
    assert "..." not in said.partition("Commands:")[2]  # a summary that had to be cut


def test_no_arguments_are_answered_with_help(capsys: Captured) -> None:
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize("verb", list(rnnlm.commands))
def test_every_verb_has_help(verb: str, capsys: Captured) -> None:
    assert run([verb, "-h"]) == 0
    assert f"Usage: rnnlm {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "There is no command 'trian'. Did you mean 'train'?"),
        (["generate", "m", "--tokns", "3"], "'--tokns'. Did you mean '--tokens'?"),
        (["--bug"], "There is no option '--bug'. Did you mean '--debug'?"),
        (["train"], "Missing argument 'TEXT...'."),
        (["generate", "m", "-n", "0"], "0 is not in the range x>=1."),
        (["score", "m", "--format", "word"], "'word' is not one of"),
    ],
)
def test_slips_of_the_pen(arguments: list[str], message: str, capsys: Captured) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.splitlines()[1].startswith("Try 'rnnlm")
    assert len(err.splitlines()) == 2


def test_the_users_errors_are_one_line(
    failing: type[Exception], capsys: Captured
) -> None:
    assert run(["fail"]) == 2
    assert capsys.readouterr().err == "rnnlm: error: expected a, received b.\n"


def test_ours_are_named_as_such(failing: type[Exception], capsys: Captured) -> None:
    failing.error = KeyError("units")  # type: ignore[attr-defined]
    assert run(["fail"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("rnnlm: internal error: KeyError: 'units'\n")
    assert "rerun with --debug" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_the_traceback(
    arguments: list[str], failing: type[Exception]
) -> None:
    with pytest.raises(InputError):
        run(arguments)


def test_debug_by_variable(
    failing: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNLM_DEBUG", "1")
    with pytest.raises(InputError):
        run(["fail"])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "rnnlm: interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "left on device. Make"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission"),
        (MemoryError(), 2, "not enough memory"),
        (EOFError("cut short"), 1, "internal error: EOFError: cut short"),
        (ValueError(""), 1, "internal error: ValueError:"),
    ],
)
def test_what_ends_with_which_code(
    error: BaseException,
    code: int,
    message: str,
    failing: type[Exception],
    capsys: Captured,
) -> None:
    failing.error = error  # type: ignore[attr-defined]
    assert run(["fail"]) == code
    assert message in capsys.readouterr().err


def process(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", script.replace("RNNLM", f"{sys.executable} -m keras_rnnlm")],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = process("set -o pipefail; RNNLM train --help | true; echo ${PIPESTATUS[0]}")
    assert done.stdout.split()[-1] in ("0", "141")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_can_not_be_written() -> None:
    done = process("RNNLM recipes > /dev/full")
    assert done.returncode == 2
    assert done.stderr == (
        "rnnlm: error: No space left on device. Make room or write elsewhere.\n"
    )


def test_exit_code_of_a_real_process() -> None:
    done = process("RNNLM recipes demo")
    assert done.returncode == 0
    assert "units" in done.stdout
    assert process("RNNLM recipes dmeo").returncode == 2


def test_pipes_are_utf8_wherever_one_is() -> None:
    code = "from keras_rnnlm.cli.main import _write_all_characters as w; import sys; "
    script = f"PYTHONIOENCODING=ascii PYTHON -c '{code} w(sys.stdout); print(\"诗\")'"
    assert process(script.replace("PYTHON -c", f"{sys.executable} -c")).stdout == "诗\n"


def test_versions_agree(capsys: Captured) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnlm {main.__version__}\n"


def test_the_backend_of_a_notebook_draws_no_pictures_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jupyter sets it for what a cell starts, in environments that do not have it."""
    environment = {**os.environ, "MPLBACKEND": "module://nowhere.to_be_found"}
    code = (
        "import sys; sys.argv = ['rnnlm', '--version']\n"
        "from keras_rnnlm.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: import matplotlib\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
