"""A search in words: tables of its trials and final runs, its recipe, its report."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_rnnlm.recipe_writing import recipe_toml
from keras_rnnlm.search.finals import Final
from keras_rnnlm.search.importance import busiest_rung, importances
from keras_rnnlm.search.space import space_to_dict
from keras_rnnlm.search.study import FAILURE, Record, by_merit, facts_key
from keras_rnnlm.search.trial_records import perplexity_of, state_word, states
from keras_rnnlm.search.tune import Tuning
from keras_rnnlm.search.tune_plan import DEFAULT

OVERRUN = 1.2
"""Times its budget that a training may take without a remark."""
SHOWN = 10
"""Trials in the table for people."""
NONE = "-"


def ranked(trials: Sequence[Record]) -> list[Record]:
    """Return trials, the best first; those without figures come last."""
    able = by_merit(trials)
    known = {trial.number for trial in able}
    return [*able, *(trial for trial in trials if trial.number not in known)]


def trials_csv(tuning: Tuning) -> str:
    """Return a line a trial: state, perplexity and seconds of each rung, settings."""
    rungs = range(len(tuning.plan.rungs.budgets))
    keys = list(tuning.plan.space)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "trial",
            "state",
            *(f"perplexity_rung{rung}" for rung in rungs),
            *(f"seconds_rung{rung}" for rung in rungs),
            "parameters",
            *keys,
            "remark",
        ]
    )
    for trial in tuning.trials:
        facts = [trial.user_attrs.get(facts_key(rung), {}) for rung in rungs]
        weights = [f["parameters"] for f in facts if "parameters" in f]
        writer.writerow(
            [
                trial.number,
                state_word(trial),
                *(perplexity_of(trial.intermediate_values.get(r)) for r in rungs),
                *(fact.get("seconds") for fact in facts),
                weights[-1] if weights else None,
                *(trial.params.get(key) for key in keys),
                trial.user_attrs.get(FAILURE, ""),
            ]
        )
    return stream.getvalue()


def trials_table(tuning: Tuning, most: int = SHOWN) -> str:
    """Return the best trials as text, a column a rung and a setting."""
    plan = tuning.plan
    rungs = range(len(plan.rungs.budgets))
    heads = ["trial", *(plan.rungs.text(rung) for rung in rungs), "weights"]
    rows = [[*heads, *plan.space]]
    for trial in ranked(tuning.trials)[:most]:
        if not trial.intermediate_values:
            continue
        facts = [trial.user_attrs.get(facts_key(rung), {}) for rung in rungs]
        weights = [f["parameters"] for f in facts if "parameters" in f]
        rows.append(
            [
                str(trial.number),
                *(_loss(trial.intermediate_values.get(rung)) for rung in rungs),
                f"{weights[-1]:,}" if weights else NONE,
                *(value_text(trial.params.get(key)) for key in plan.space),
            ]
        )
    return _aligned(rows)


def finals_table(tuning: Tuning) -> str:
    """Return the final runs as text: the best, then its rivals."""
    rows = [["run", "valid ppl", "weights", "steps", "seconds", "against default"]]
    default = tuning.finals.get(DEFAULT)
    for final in tuning.finals.values():
        rows.append(
            [
                final.name,
                figure_text(final.perplexity),
                NONE if final.parameters is None else f"{final.parameters:,}",
                NONE if final.steps is None else f"{final.steps:,}",
                NONE if final.seconds is None else f"{final.seconds:.1f}",
                _gain(final, default),
            ]
        )
    return _aligned(rows)


def remarks(tuning: Tuning) -> list[str]:
    """Return sentences that belong below the tables."""
    counts = states(tuning.trials)
    said = [
        f"{len(tuning.trials)} trials: "
        + ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        + "."
    ]
    if counts.get("waiting"):
        said.append(
            "Those that wait had no time for their next rung; --resume with more "
            "--minutes goes on with them."
        )
    if (late := _late(tuning)) > 0:
        said.append(
            f"{late} trainings took more than {OVERRUN:g} times their time: it is too "
            "short to compile, train and evaluate such models in, on this machine as "
            "it was. Give more --trial-minutes, or fewer --rungs."
        )
    for final in tuning.finals.values():
        if final.failure is not None:
            said.append(f"{final.name} failed: {final.failure}")
        if final.same_as is not None:
            said.append(
                f"{final.name} has the settings of {final.same_as}: one run for both."
            )
    if tuning.finals:
        text = tuning.plan.rungs.text(tuning.plan.rungs.last)
        said.append(
            f"All final runs had {text}, all cores and one seed that no trial had. "
            "Their figures are of the validation text, which chose the settings and so "
            "flatters the best a little; the test text was not looked at."
        )
    if tuning.best is None:
        said.append("No trial has figures.")
    elif tuning.best[1] < tuning.plan.rungs.last and not tuning.finals:
        said.append("No trial has reached the last rung yet.")
    return said


def best_recipe(tuning: Tuning) -> str | None:
    """Return the recipe of the best trial; None where no trial has figures."""
    if tuning.best is None:
        return None
    trial, rung = tuning.best
    plan = tuning.plan
    settings = plan.final_settings(plan.trial_settings(trial.params, plan.rungs.last))
    lines = [
        f"The best of {len(tuning.trials)} trials of a search, number {trial.number}: "
        f"validation perplexity {figure_text(perplexity_of(_value(trial, rung)))} "
        f"after {plan.rungs.text(rung)}."
    ]
    for final in tuning.finals.values():
        lines.append(
            f"Final run of {final.name}: {figure_text(final.perplexity)} after "
            f"{plan.rungs.text(plan.rungs.last)}."
        )
    lines.append("Searched: " + "; ".join(f"{k}={v}" for k, v in plan.space.items()))
    return recipe_toml(settings, "\n".join(lines))


def report_of(tuning: Tuning, command: str = "") -> dict[str, Any]:
    """Return all that a search found, ready for JSON."""
    plan, best = tuning.plan, tuning.best
    return {
        "command": command,
        "seconds": round(tuning.seconds, 1),
        "data": dict(tuning.data),
        "recipe": plan.settings.to_dict(),
        "space": space_to_dict(plan.space),
        "rungs": plan.rungs.to_dict(),
        "sampler": plan.sampler,
        "seed": plan.seed,
        "states": states(tuning.trials),
        "best": None
        if best is None
        else {
            "trial": best[0].number,
            "rung": best[1],
            "perplexity": perplexity_of(_value(*best)),
            "point": best[0].params,
        },
        "finals": {name: final.to_dict() for name, final in tuning.finals.items()},
        "importance_rung": busiest_rung(tuning.trials),
        "importances": importances(tuning.trials),
        "trials": [trial_dict(trial) for trial in tuning.trials],
    }


def trial_dict(trial: Record) -> dict[str, Any]:
    """Return a trial for JSON."""
    return {
        "trial": trial.number,
        "state": state_word(trial),
        "point": trial.params,
        "rungs": {
            str(rung): {
                "perplexity": perplexity_of(loss),
                **trial.user_attrs.get(facts_key(rung), {}),
            }
            for rung, loss in sorted(trial.intermediate_values.items())
        },
        "remark": trial.user_attrs.get(FAILURE),
    }


def write_words(tuning: Tuning, folder: Path, report: bytes) -> None:
    """Write `trials.csv`, `table.txt`, `best.toml` and `report.json` into a folder."""
    parts = [trials_table(tuning), ""]
    if tuning.finals:
        parts += [finals_table(tuning), ""]
    parts += [*remarks(tuning), ""]
    (folder / "trials.csv").write_text(trials_csv(tuning), encoding="utf-8")
    (folder / "table.txt").write_text("\n".join(parts), encoding="utf-8")
    recipe = best_recipe(tuning)
    if recipe is not None:
        (folder / "best.toml").write_text(recipe, encoding="utf-8")
    (folder / "report.json").write_bytes(report)


def figure_text(value: float | None) -> str:
    """Return a perplexity with four digits."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if value >= 1000 else f"{value:#.4g}"


def value_text(value: Any) -> str:
    """Return the value of a setting, numbers with three digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _late(tuning: Tuning) -> int:
    """Return how many trainings took too long for what their rung has."""
    seconds = tuning.plan.rungs.seconds
    if seconds is None:
        return 0
    return sum(
        trial.user_attrs.get(facts_key(rung), {}).get("seconds", 0.0) > OVERRUN * budget
        for trial in tuning.trials
        for rung, budget in enumerate(seconds)
    )


def _value(trial: Record, rung: int) -> float:
    return float(trial.intermediate_values[rung])


def _loss(loss: float | None) -> str:
    if loss is not None and not math.isfinite(loss):
        return "failed"
    return figure_text(perplexity_of(loss))


def _gain(final: Final, default: Final | None) -> str:
    if default is None or final.name == DEFAULT:
        return ""
    if final.perplexity is None or default.perplexity is None:
        return NONE
    return f"{100 * (final.perplexity / default.perplexity - 1):+.1f}%"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
