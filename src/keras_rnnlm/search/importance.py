"""Which settings mattered: by PED-ANOVA over the trials of one rung.

Trials that were pruned count as much as the others: figures are compared on the rung
that most trials have finished, where all had the same time. Importance is how far the
values of the best trials differ from those of all (Watanabe, Bansal and Hutter 2023,
"PED-ANOVA"), as shares that add up to one.
"""

import math
import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import create_trial

from keras_rnnlm.search.study import Record, State, losses_on

LEAST = 8
"""Trials that are too few to say anything."""
_TOP = 0.25


def busiest_rung(trials: Sequence[Record]) -> int | None:
    """Return the rung that most trials have finished, the lowest of several."""
    counts: dict[int, int] = {}
    for trial in trials:
        for rung, loss in trial.intermediate_values.items():
            if math.isfinite(loss):
                counts[rung] = counts.get(rung, 0) + 1
    return max(sorted(counts), key=lambda rung: counts[rung], default=None)


def importances(trials: Sequence[Record]) -> dict[str, float] | None:
    """Return the share of each setting, the largest first; None for too few trials."""
    rung = busiest_rung(trials)
    if rung is None:
        return None
    losses = losses_on(trials, rung)
    points = [
        create_trial(
            state=State.COMPLETE,
            value=losses[trial.number],
            params=trial.params,
            distributions=trial.distributions,
        )
        for trial in trials
        if math.isfinite(losses.get(trial.number, math.inf))
    ]
    if len(points) < LEAST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        study.add_trials(points)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=_TOP)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    rows = sorted(found.items(), key=lambda row: (-row[1], row[0]))
    return {key: float(value) for key, value in rows}
