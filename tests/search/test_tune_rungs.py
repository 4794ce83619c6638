import random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.search.rungs import Rungs, bracket_order, make_rungs


def test_budgets() -> None:
    rungs = make_rungs(minutes=6)
    assert rungs.seconds == pytest.approx((40, 120, 360))
    assert make_rungs(minutes=3).seconds == pytest.approx((60, 180))
    assert make_rungs(minutes=1, number=2).seconds == pytest.approx((20, 60))
    assert make_rungs(minutes=0.1).seconds == pytest.approx((6,))
    assert make_rungs(minutes=90).seconds == pytest.approx((600, 1800, 5400))
    assert make_rungs(steps=90).budgets == (10, 30, 90)
    assert make_rungs(steps=90, pruner="none").budgets == (90,)
    assert make_rungs(steps=64, factor=2, number=4).budgets == (8, 16, 32, 64)
    assert rungs.changes(2) == {"minutes": 6, "max_steps": None}
    assert make_rungs(steps=90).changes(0) == {"minutes": None, "max_steps": 10}
    assert [rungs.text(n) for n in range(3)] == ["40 s", "2 min", "6 min"]
    assert Rungs.from_dict(rungs.to_dict()) == rungs


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"minutes": 1, "steps": 2}, "one of them"),
        ({}, "one of them"),
        ({"minutes": 0}, "above 0"),
        ({"minutes": 1, "pruner": "median"}, "asha, hyperband, none"),
        ({"minutes": 1, "factor": 1}, "2 or more"),
        ({"minutes": 1, "number": 0}, "1 or more"),
        ({"steps": 3, "number": 4}, "would be equal"),
    ],
)
def test_impossible_rungs(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_rungs(**options)  # type: ignore[arg-type]


@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 2**32))
def test_goes_on_as_in_optuna(factor: int, number: int, seed: int) -> None:
    """The same trials, one after the other, pruned by Optuna's own pruner."""
    chance = random.Random(seed)
    rungs = make_rungs(steps=factor**number, factor=factor, number=number)
    pruner = optuna.pruners.SuccessiveHalvingPruner(1, factor, 0)
    study = optuna.create_study(pruner=pruner)
    finished: list[list[float]] = [[] for _ in rungs.budgets]
    for _ in range(25):
        trial = study.ask()
        for rung in range(number):
            loss = chance.random()
            goes_on = rungs.goes_on(rung, loss, finished[rung])
            finished[rung].append(loss)
            trial.report(loss, step=factor**rung)
            pruned = trial.should_prune()
            if rung == rungs.last:
                assert not goes_on
                break
            assert goes_on != pruned
            if pruned:
                break
        study.tell(trial, finished[0][-1])


def test_what_has_no_figures_ends() -> None:
    rungs = make_rungs(steps=9)
    assert not rungs.goes_on(0, float("inf"), [float("inf")] * 5)
    assert not rungs.goes_on(0, float("nan"), [])


@given(st.integers(1, 5), st.integers(2, 4))
def test_brackets_are_dealt_evenly(number: int, factor: int) -> None:
    order = bracket_order(number, factor)
    share = [order.count(s) for s in range(number)]
    assert share[0] == factor ** (number - 1)
    assert share == sorted(share, reverse=True) and share[-1] == number
    for end in range(1, len(order) + 1):
        for s in range(number):
            due = end * share[s] / len(order)
            assert abs(list(order[:end]).count(s) - due) <= 1.5


def test_hyperband_competes_within_brackets() -> None:
    rungs = make_rungs(steps=9, pruner="hyperband")
    firsts = [rungs.first(n) for n in range(34)]
    assert set(firsts) == {0, 1, 2} and firsts[:17] == firsts[17:]
    assert firsts[0] == 0
    one, other = firsts.index(0), firsts.index(2)
    assert not rungs.compete(one, other) and rungs.compete(one, one + 17)
    assert all(make_rungs(steps=9).first(n) == 0 for n in range(9))
