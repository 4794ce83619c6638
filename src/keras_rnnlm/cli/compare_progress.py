"""How a comparison looks while it goes on: a line or two a run, and a bar."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from keras_rnnlm.cli.progress import PlainReporter, TerminalReporter
from keras_rnnlm.cli.wording import clock, count, figure, size

if TYPE_CHECKING:
    from keras_rnnlm.search.plan import Plan
    from keras_rnnlm.search.running import Task
    from keras_rnnlm.search.runs import Run


class _Lines(PlainReporter):
    """A line now and then; what is trained on one line, and no validations."""

    def start(self, summary: Mapping[str, Any]) -> None:
        """Say what is about to be trained."""
        self._write(_model_line(summary))

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Ignore: the picture shows them all."""


class _Bar(TerminalReporter):
    """The same on a terminal, with a bar."""

    def start(self, summary: Mapping[str, Any]) -> None:
        """Say what is about to be trained, and show the bar."""
        self._write(_model_line(summary))
        self._bar.start()

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Ignore: the picture shows them all."""


class Progress:
    """Tells of a comparison on stderr; an observer of `search.compare`."""

    def __init__(self) -> None:
        """Begin before the first run."""
        self._reporter: PlainReporter | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing on the screen that moves."""
        self._close()

    def announce(self, plan: "Plan", out: Path, resumed: bool) -> None:
        """Say what will be done, and how long it will take; less if it is resumed."""
        networks, runs = len(plan.settings), plan.network_runs
        parts = [f"{networks} network{'s' * (networks != 1)}"] if networks else []
        if len(plan.models) > networks:
            parts.append("the n-gram model")
        said = f"Comparing {' and '.join(parts)}"
        if plan.parameters is not None:
            said += f" with about {count(plan.parameters)} weights each"
        self.note(f"{said}, in {out}.")
        if not runs:
            return
        said = f"{count(runs)} run{'s' * (runs != 1)} of networks"
        if plan.trials:
            said += (
                f" ({count(plan.trials * networks)} of them trials that choose "
                "settings on the validation text)"
            )
        if plan.minutes is not None:
            each = plan.minutes / runs
            said += f", {each:g} minute{'s' * (each != 1)} each: "
            said += "at most " if resumed else "about "
            # What is measured after a run takes a few seconds more.
            said += f"{clock(60 * plan.minutes + 5 * runs)} in all"
        self.note(f"{said}. Ctrl-C keeps what is finished.")

    def begin(self, number: int, total: int, task: "Task") -> PlainReporter:
        """Say which run begins."""
        kind = "final" if task.kind == "final" else f"trial {task.trial}"
        chance = "" if isinstance(task.settings, int) else f", seed {task.seed}"
        self.note(f"[{number}/{total}] {task.model}, {kind}{chance}")
        self._reporter = _Bar() if sys.stderr.isatty() else _Lines()
        return self._reporter

    def end(self, run: "Run") -> None:
        """Say what came of it."""
        self._close()
        if run.failure is not None:
            self.note(f"  failed: {run.failure}")
            return
        parts = [f"validation perplexity {_perplexity(run.valid)}"]
        if run.test is not None:
            parts.append(f"test {_perplexity(run.test)}")
        self.note(f"  {', '.join(parts)}, in {run.seconds or 0:.1f} s")

    def note(self, sentence: str) -> None:
        """Write a sentence."""
        click.echo(sentence, err=True)

    def _close(self) -> None:
        if self._reporter is not None:
            self._reporter.close()
            self._reporter = None


def _model_line(summary: Mapping[str, Any]) -> str:
    resumed = summary["resumed_at"]
    since = f", resumed at step {count(resumed)}" if resumed else ""
    return (
        f"  {summary['layers']} x {summary['units']} units, "
        f"{size(summary['parameters'])} weights{since}"
    )


def _perplexity(figures: Mapping[str, Any] | None) -> str:
    value = None if figures is None else figures["perplexity"]
    return "too large for a number" if value is None else figure(value)
