"""A search with given figures, to see what is made of it."""

import random
from pathlib import Path
from typing import Any

from optuna.trial import create_trial

from keras_rnnlm.config import Settings
from keras_rnnlm.search.finals import Final
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import default_space
from keras_rnnlm.search.study import FAILURE, Record, State, best_of, distribution
from keras_rnnlm.search.tune import Tuning
from keras_rnnlm.search.tune_plan import TunePlan

BASE = Settings.from_recipe("word")


def a_plan(**options: Any) -> TunePlan:
    settings = BASE.replace(minutes=3.0)
    return TunePlan(
        settings,
        default_space(BASE, "word"),
        make_rungs(minutes=3, **{"number": 3, **options}),
        "tpe",
        0,
        {"default": settings},
        {"train": "a", "valid": "b"},
    )


def a_trial(
    number: int, plan: TunePlan, losses: dict[int, float], **facts: Any
) -> Record:
    chance = random.Random(number)
    params = {}
    for key, dimension in plan.space.items():
        kind: Any = distribution(dimension)
        if hasattr(dimension, "values"):
            params[key] = chance.choice(dimension.values)
        elif dimension.log:
            params[key] = dimension.low * (dimension.high / dimension.low) ** (
                chance.random()
            )
        elif dimension.whole:
            step = int(dimension.step or 1)
            params[key] = chance.randrange(
                int(dimension.low), int(dimension.high), step
            )
        else:
            params[key] = chance.uniform(dimension.low, dimension.high)
        assert kind._contains(kind.to_internal_repr(params[key]))
    state = State.COMPLETE if plan.rungs.last in losses else State.PRUNED
    trial = create_trial(
        state=state,
        value=losses[max(losses)] if state is State.COMPLETE else None,
        params=params,
        distributions={k: distribution(d) for k, d in plan.space.items()},
        intermediate_values=losses,
        user_attrs={
            **{
                f"rung{rung}": {
                    "at": 20.0 * number + 30.0 * rung + 20,
                    "seconds": plan.rungs.seconds[rung] if plan.rungs.seconds else 1,
                    "parameters": 100_000 + number,
                    "steps": 50,
                }
                for rung in losses
            },
            **facts,
        },
    )
    trial.number = number
    return trial


def a_search(folder: Path, trials: int = 40, name: str = "ptb.train.txt") -> Tuning:
    plan, chance = a_plan(), random.Random(1)
    made = []
    for number in range(trials):
        base = 5.4 + 0.6 * chance.random()
        losses = {0: base}
        if base < 5.7 or number == 0:
            losses[1] = base - 0.4
        if base < 5.5 or number == 0:
            losses[2] = base - 0.7
        if number == 3:
            losses = {0: float("inf")}
        facts = {FAILURE: "The loss is not a number."} if number == 3 else {}
        made.append(a_trial(number, plan, losses, **facts))
    settings = plan.settings.to_dict()
    finals = {
        "best": Final(
            "best", "out/final/best", settings, 101.2, 4.617, 179.0, 12345, 700
        ),
        "default": Final(
            "default", "out/final/default", settings, 112.9, 4.7265, 178.0, 23456, 650
        ),
    }
    data = {"train": {"files": [name]}}
    return Tuning(folder, plan, made, best_of(made), finals, 3590.0, data)
