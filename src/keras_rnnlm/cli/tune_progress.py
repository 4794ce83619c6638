"""How a search looks while it goes on: a line a rung of a trial."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.wording import clock, count, figure, size
from keras_rnnlm.processor import visible_cores
from keras_rnnlm.search.tune_table import value_text

if TYPE_CHECKING:
    from pathlib import Path

    from keras_rnnlm.search.tune import Limits
    from keras_rnnlm.search.tune_plan import TunePlan


class TuneProgress:
    """Tells of a search on stderr; a watcher of `search.tune`."""

    def __init__(self, plan: "TunePlan") -> None:
        """Begin before the first trial."""
        self._plan = plan
        self._best: dict[int, float] = {}

    def announce(self, limits: "Limits", out: "Path", cores: list[int]) -> None:
        """Say what will be searched, for how long, and what a worker has.

        Args:
            limits: When it ends.
            out: Where it is kept.
            cores: Number of cores of each worker; 0 where nobody knows.
        """
        rungs = self._plan.rungs
        steps = ", ".join(rungs.text(rung) for rung in range(len(rungs.budgets)))
        number = len(self._plan.space)
        self.note(f"Searching {number} setting{'s' * (number != 1)}, in {out}:")
        for key, dimension in self._plan.space.items():
            self.note(f"  {key}={dimension}")
        if (first := self._plan.first_point) is not None:
            values = ", ".join(f"{k}={value_text(v)}" for k, v in first.items())
            self.note(f"Trial 0: {values}.")
        else:
            outside = ", ".join(
                f"{key}={value_text(value)}"
                for key, value in self._plan.outside.items()
            )
            self.note(f"The recipe is not among the trials: it has {outside}.")
        climb = f"; one in {rungs.factor} goes on" if rungs.last else ""
        self.note(f"Rungs ({rungs.pruner}): {steps}{climb}.")
        parts = []
        if limits.minutes is not None:
            most = "about" if rungs.seconds is None else "at most"
            parts.append(f"{most} {clock(60 * limits.minutes)}, final runs included")
        if limits.trials is not None:
            parts.append(f"at most {count(limits.trials)} trials")
        self.note(f"It takes {' and '.join(parts)}. Ctrl-C keeps all that is finished.")
        if limits.workers > 1 and cores[0]:
            each = f"{cores[0]} core{'s' * (cores[0] != 1)}"
            self.note(
                f"{limits.workers} workers, {each} each: a trial gets through less in "
                "its time than a final run, which has all cores."
            )
            if limits.workers > visible_cores():
                self.note(
                    "There are more workers than cores: those that share one disturb "
                    "each other's time."
                )

    def event(self, worker: int, event: Mapping[str, Any]) -> None:
        """Write what a worker told."""
        kind = event["event"]
        name = f"trial {event['number']}" if "number" in event else ""
        if kind == "note":
            self.note(str(event["message"]))
        elif kind == "rung":
            rung, value = event["rung"], event["perplexity"]
            better = value is not None and value < self._best.get(rung, float("inf"))
            if better:
                self._best[rung] = value
            steps = f"{count(event['steps'])} step{'s' * (event['steps'] != 1)}"
            said = "too large for a number" if value is None else figure(value)
            self.note(
                f"[{clock(event['at'])}] {name}, {self._plan.rungs.text(rung)}: "
                f"perplexity {said}, {size(event['parameters'])} weights, "
                f"{steps}{'  best so far' if better else ''}"
            )
        elif kind == "end" and event["reason"]:
            self.note(f"{name} failed: {event['reason']}")
        elif kind == "waits":
            self.note(f"{name} waits: no time for its next rung.")

    def final(self, name: str) -> None:
        """Say which final run begins."""
        rungs = self._plan.rungs
        self.note(f"Final run of the {name} settings, {rungs.text(rungs.last)}")

    def note(self, sentence: str) -> None:
        """Write a sentence."""
        click.echo(sentence, err=True)
