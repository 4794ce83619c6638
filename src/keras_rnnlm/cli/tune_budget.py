"""The budget of `rnnlm tune`: how long its trainings are, and who is trained longer."""

from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import is_typed

if TYPE_CHECKING:
    from keras_rnnlm.search.rungs import Rungs
    from keras_rnnlm.search.tune_plan import TunePlan

SHARE = 20.0
"""A trial on the last rung has this part of --minutes, unless --trial-minutes says."""
_START = 13.0
"""Seconds of a training that are start and compilation, about."""
OF_RUNGS = ("trial_minutes", "trial_steps", "pruner", "factor", "rungs")


def short_rung(rungs: "Rungs") -> str | None:
    """Return a warning where all trials are too short; None where they are not."""
    from keras_rnnlm.search.rungs import SHORTEST

    seconds = rungs.seconds
    if seconds is None or len(seconds) > 1 or seconds[0] >= SHORTEST:
        return None
    much = "most" if seconds[0] < 2 * _START else "much"
    return (
        f"Every trial has {seconds[0]:.3g} s in all, and {much} of that is start and "
        f"compilation (some {_START:g} s): figures hardly tell good settings from bad "
        "ones. Give --trial-minutes 1 or more."
    )


def rungs_of(
    context: click.Context, options: dict[str, Any], begun: "TunePlan | None" = None
) -> "Rungs":
    """Return the rungs that were asked for; those of a search that is gone on with."""
    from keras_rnnlm.search.rungs import make_rungs

    values = {name: options[name] for name in OF_RUNGS}
    given = {name for name in OF_RUNGS if is_typed(context, name)}
    if begun is not None:
        if not given:
            return begun.rungs
        values |= {n: v for n, v in _of_rungs(begun.rungs).items() if n not in given}
        if "trial_minutes" in given or "trial_steps" in given:
            values |= {n: options[n] for n in ("trial_minutes", "trial_steps")}
    minutes, steps = values["trial_minutes"], values["trial_steps"]
    if minutes is not None and steps is not None:
        raise click.UsageError(
            "--trial-minutes and --trial-steps are two budgets; leave one out.", context
        )
    if minutes is None and steps is None:
        if options["minutes"] is None:
            raise click.UsageError(
                "With --trials alone give --trial-minutes or --trial-steps.", context
            )
        minutes = options["minutes"] / SHARE
    if values["pruner"] == "none" and "rungs" in given:
        raise click.UsageError(
            "--pruner none has one rung; leave --rungs out.", context
        )
    return make_rungs(
        minutes=minutes,
        steps=steps,
        pruner=values["pruner"],
        factor=values["factor"],
        number=values["rungs"],
    )


def sampler_of(
    context: click.Context, options: dict[str, Any], begun: "TunePlan | None"
) -> str:
    """Return the sampler that was asked for; else that of a search gone on with."""
    name: str = options["sampler"]
    return name if begun is None or is_typed(context, "sampler") else begun.sampler


def _of_rungs(rungs: "Rungs") -> dict[str, Any]:
    """Return the options that ask for these rungs."""
    from keras_rnnlm.search.rungs import MINUTES

    timed = rungs.unit == MINUTES
    return {
        "trial_minutes": rungs.budgets[-1] if timed else None,
        "trial_steps": None if timed else int(rungs.budgets[-1]),
        "pruner": rungs.pruner,
        "factor": rungs.factor,
        "rungs": len(rungs.budgets),
    }
