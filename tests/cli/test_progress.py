import io
import math
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from keras_rnnlm.cli import progress
from keras_rnnlm.cli.progress import PlainReporter, TerminalReporter
from keras_rnnlm.training.reporter import Reporter

SUMMARY = {"device": "jax on cpu", "model": "lstm, 1 x 16", "resumes": None}
STEP: dict[str, Any] = {
    "loss": 4.5,
    "tokens_per_second": 12_345.6,
    "progress": 0.25,
    "seconds_left": 83.0,
    "learning_rate": 0.001,
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def terminal(width: int = 80) -> tuple[TerminalReporter, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    return TerminalReporter(console), screen


def events(reporter: Reporter) -> None:
    reporter.start(SUMMARY)
    reporter.step(step=100, **STEP)
    reporter.validation(100, 4.6, math.exp(4.6), best=True)
    reporter.note("The batch was made smaller.")
    reporter.validation(200, 4.7, math.exp(4.7), best=False)
    reporter.finish({})


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    events(PlainReporter())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "device   jax on cpu",
        "model    lstm, 1 x 16",
        "step 100  25%  loss 4.500  perplexity 90.02  12,346 tokens/s  1:23 left",
        "step 100  validation perplexity 99.48 (4.6000 nats/token)  best so far",
        "The batch was made smaller.",
        "step 200  validation perplexity 109.9 (4.7000 nats/token)",
    ]


def test_plain_steps_come_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    reporter = PlainReporter(clock)
    for tenth in range(250):
        clock.now = tenth / 10
        reporter.step(step=tenth, **STEP)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [
        "0",
        "100",
        "200",
    ]


def test_a_step_without_an_end_in_sight(capsys: pytest.CaptureFixture[str]) -> None:
    PlainReporter().step(step=1, **{**STEP, "seconds_left": None, "loss": 900.0})
    assert capsys.readouterr().err == (
        "step 1  25%  loss 900.000  perplexity inf  12,346 tokens/s\n"
    )


def test_the_bar_shows_what_matters() -> None:
    reporter, screen = terminal()
    with reporter:
        reporter.start(SUMMARY)
        reporter.step(step=100, **STEP)
        reporter._bar.refresh()
    shown = screen.getvalue()
    last = [line for line in shown.splitlines() if "25%" in line][-1]
    for part in ("loss 4.500", "ppl 90.02", "12,346 tokens/s", "1:23 left"):
        assert part in last
    assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # cursor shown, bar gone


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_keeps_to_one_line(width: int) -> None:
    reporter, screen = terminal(width)
    with reporter:
        reporter.start({})
        reporter.step(step=100, **STEP)
        reporter._bar.refresh()
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "\n", screen.getvalue())
    lines = [line for line in shown.splitlines() if line]
    assert lines
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.startswith("tr") for line in lines)


def test_the_terminal_keeps_the_lines_that_tell_something() -> None:
    reporter, screen = terminal()
    with reporter:
        events(reporter)
    shown = screen.getvalue()
    for part in (
        "device   jax on cpu",
        "validation perplexity 99.48 (4.6000 nats/token)  best so far",
        "The batch was made smaller.",
    ):
        assert part in shown


def test_the_cursor_comes_back_after_an_error() -> None:
    reporter, screen = terminal()
    with pytest.raises(KeyError), reporter:
        reporter.start(SUMMARY)
        raise KeyError
    assert "\x1b[?25h" in screen.getvalue()


def test_which_reporter_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert type(progress.make_reporter()) is PlainReporter
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(progress.make_reporter()) is TerminalReporter


def test_reading_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.reading("encoding") as tell:
        tell(1, 2)
    assert capsys.readouterr() == ("", "")


def test_reading_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "stderr_console", lambda: console)
    with progress.reading("encoding") as tell:
        tell(1, 2)
    assert "encoding" in screen.getvalue()
    assert " 50%" in screen.getvalue()
