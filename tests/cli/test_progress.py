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

SUMMARY: dict[str, Any] = {
    "cell": "lstm",
    "units": 16,
    "layers": 1,
    "parameters": 4_870_000,
    "vocabulary_size": 10_000,
    "tokenizer": "word",
    "train_tokens": 929_589,
    "batch_size": 20,
    "steps": 35,
    "precision": "float32",
    "device": "jax on cpu",
    "loops": ["scan", "scan"],
    "minutes": 10.0,
    "max_steps": None,
    "resumed_at": 0,
    "folder": "runs/ptb",
}
SUMMARY_LINES = [
    "text    929,589 tokens (word), vocabulary of 10,000",
    "model   lstm, 1 x 16 units, 4.9 million weights",
    "device  jax on cpu, float32",
    "loops   scan",
    "batch   20 rows x 35 steps",
    "budget  10 minutes from start to end",
    "folder  runs/ptb",
]
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
        *SUMMARY_LINES,
        "step 100  25%  loss 4.500  perplexity 90.02  12,346 tokens/s  1:23 left",
        "step 100  validation perplexity 99.48 (4.6000 nats/token)  best so far",
        "The batch was made smaller.",
        "step 200  validation perplexity 109.9 (4.7000 nats/token)",
    ]


def test_budgets_of_steps_and_resumed_runs() -> None:
    changed = {"minutes": None, "max_steps": 1234, "resumed_at": 99, "steps": None}
    lines = progress.summary_lines({**SUMMARY, **changed})
    assert "budget  1,234 steps, resumed at step 99" in lines
    assert "batch   20 rows" in lines


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
        reporter.start(SUMMARY)
        reporter.step(step=100, **STEP)
        reporter._bar.refresh()
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "\n", screen.getvalue())
    bars = [line for line in shown.splitlines() if line.startswith("tr")]
    assert bars
    assert all(cell_len(line) <= width for line in bars)


def test_the_terminal_keeps_the_lines_that_tell_something() -> None:
    reporter, screen = terminal()
    with reporter:
        events(reporter)
    shown = screen.getvalue()
    for part in (
        *SUMMARY_LINES,
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
