"""How a run looks while it goes on: a live bar on a terminal, else a line now and then.

Both reporters have the methods of `keras_rnnlm.training.reporter.Reporter`. They print
on stderr, so that stdout is left to results.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from keras_rnnlm.cli.wording import clock, count, figure, size, table

PLAIN_LINE_EVERY = 10.0  # seconds


class PlainReporter:
    """Writes a line at each validation and every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock that decides when a line is due, in seconds."""
        self._clock = clock
        self._last_line = -math.inf

    def __enter__(self) -> Self:
        """Return the reporter itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing on the screen that moves."""
        self.close()

    def start(self, summary: Mapping[str, Any]) -> None:
        """Say what is about to be trained."""
        for line in summary_lines(summary):
            self._write(line)

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Write a line if the last one is ten seconds old."""
        now = self._clock()
        if now - self._last_line < PLAIN_LINE_EVERY:
            return
        self._last_line = now
        left = "" if seconds_left is None else f"  {clock(seconds_left)} left"
        self._write(
            f"step {count(step)}  {progress:.0%}  loss {loss:.3f}  "
            f"perplexity {figure(perplexity(loss))}  "
            f"{count(tokens_per_second)} tokens/s{left}"
        )

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Write how the model does on the validation text."""
        self._write(
            f"step {count(step)}  validation perplexity {figure(perplexity)}"
            f" ({nats_per_token:.4f} nats/token){'  best so far' if best else ''}"
        )

    def note(self, sentence: str) -> None:
        """Write a sentence."""
        self._write(sentence)

    def finish(self, report: Mapping[str, Any]) -> None:
        """Note that training is over; the report is printed by the verb."""
        self.close()

    def close(self) -> None:
        """Take away what moves; here nothing does."""

    def _write(self, line: str) -> None:
        click.echo(line, err=True)


class TerminalReporter(PlainReporter):
    """Shows a bar with loss, perplexity, tokens a second and time left."""

    def __init__(self, console: Console | None = None) -> None:
        """Take the console to draw on; stderr's by default."""
        super().__init__()
        self.console = console or stderr_console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, complete_style="cyan"),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            expand=True,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("training", total=1.0, figures="compiling ...")

    def start(self, summary: Mapping[str, Any]) -> None:
        """Say what is about to be trained, and show the bar."""
        super().start(summary)
        self._bar.start()

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Move the bar."""
        figures = (
            f"loss {loss:.3f}  ppl {figure(perplexity(loss))}  "
            f"{count(tokens_per_second)} tokens/s"
        )
        if seconds_left is not None:
            figures += f"  {clock(seconds_left)} left"
        self._bar.update(self._task, completed=progress, figures=figures)

    def close(self) -> None:
        """Take the bar away and show the cursor again."""
        self._bar.stop()

    def _write(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False)


def make_reporter() -> PlainReporter:
    """Return the reporter that suits where stderr goes."""
    return TerminalReporter() if sys.stderr.isatty() else PlainReporter()


def stderr_console() -> Console:
    """Return a console on stderr, as wide as the terminal."""
    return Console(stderr=True)


@contextmanager
def reading(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for work of known size, such as encoding, while the block runs.

    Args:
        what: The word before the bar.

    Yields:
        A function of (done, total), to be called as often as one likes. Off a terminal
        it prints nothing.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, complete_style="cyan"),
        TaskProgressColumn(),
        console=stderr_console(),
        expand=True,
        transient=True,
    )
    task = bar.add_task(what, total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)


def perplexity(nats_per_token: float) -> float:
    """Return exp(nats), infinite where it cannot be written down."""
    return math.exp(nats_per_token) if nats_per_token < 700 else math.inf


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return aligned lines on what is about to be trained, where, and for how long."""
    told = summary
    model = (
        f"{told['cell']}, {told['layers']} x {told['units']} units, "
        f"{size(told['parameters'])} weights"
    )
    text = (
        f"{count(told['train_tokens'])} tokens ({told['tokenizer']}), "
        f"vocabulary of {count(told['vocabulary_size'])}"
    )
    steps = "" if told["steps"] is None else f" x {told['steps']} steps"
    budget = (
        f"{count(told['max_steps'])} steps"
        if told["minutes"] is None
        else f"{told['minutes']:g} minutes from start to end"
    )
    if told["resumed_at"]:
        budget += f", resumed at step {count(told['resumed_at'])}"
    rows = [
        ("text", text),
        ("model", model),
        ("members", str(told.get("members", ""))),
        ("device", f"{told['device']}, {told['precision']}"),
        ("loops", ", ".join(sorted(set(told.get("loops") or ())))),
        ("batch", f"{told['batch_size']} rows{steps}"),
        ("budget", budget),
        ("folder", told["folder"]),
    ]
    return table((name, value) for name, value in rows if value).splitlines()
