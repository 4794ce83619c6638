import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.config import Settings
from keras_rnnlm.search.near import changed, inside, near_point
from keras_rnnlm.search.space import (
    Choice,
    Dimension,
    Range,
    Space,
    default_space,
    in_steps,
    parse_search,
    point_of,
)
from keras_rnnlm.search.study import by_merit, distribution
from tests.search.made_search import a_plan, a_trial

WORD = Settings.from_recipe("word")

numbers = st.builds(
    lambda low, more, log: Range(low, low + more, log=log),
    st.floats(1e-3, 10),
    st.floats(0.1, 100),
    st.booleans(),
)
wholes = st.builds(
    lambda low, steps, step, log: Range(
        low, low + steps * step, log=log, step=None if log else step, whole=True
    ),
    st.integers(1, 64),
    st.integers(1, 9),
    st.integers(1, 32),
    st.booleans(),
)
stepped = st.builds(
    lambda low, steps, step: Range(low, in_steps(low, step, steps), step=step),
    st.integers(0, 400).map(lambda number: number / 100),
    st.integers(1, 9),
    st.integers(1, 200).map(lambda number: number / 100),
)
choices = st.sampled_from(
    [Choice((None, 64, 128)), Choice(("lstm", "gru")), Choice((10, 20, 40, 80))]
)
spaces = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.one_of(numbers, wholes, stepped, choices),
    min_size=1,
)


def lowest(space: Space) -> dict[str, Any]:
    return {
        key: d.values[0] if isinstance(d, Choice) else d.low for key, d in space.items()
    }


@given(spaces, st.integers(0, 2**32), st.floats(0.01, 5.0))
def test_a_changed_point_is_another_point_of_the_space(
    space: Space, seed: int, width: float
) -> None:
    random, point = np.random.default_rng(seed), lowest(space)
    for _ in range(5):
        before, point = point, changed(space, point, random, width)
        assert all(point[key] in space[key] for key in space)
        assert all(optuna_has(space[key], point[key]) for key in space)
        assert point != before


def optuna_has(dimension: Dimension, value: Any) -> bool:
    kind = distribution(dimension)
    return bool(kind._contains(kind.to_internal_repr(value)))


@given(spaces, st.sampled_from([None, "lstm", 7, 1e9, -1e9, 0.5]))
def test_a_recipe_outside_of_the_space_has_a_point_next_to_it(
    space: Space, value: Any
) -> None:
    point = inside(space, dict.fromkeys(space, value))
    for key, dimension in space.items():
        assert point[key] in dimension and optuna_has(dimension, point[key])
        assert value not in dimension or point[key] == value


@pytest.mark.parametrize("step", [0.1, 0.05])
def test_the_top_of_steps_in_tenths_is_one_of_them(step: float) -> None:
    (dimension,) = parse_search([f"dropout=0:0.6:{step}"], Settings()).values()
    random, point = np.random.default_rng(0), {"dropout": 0.5}
    found = {
        changed({"dropout": dimension}, point, random, 0.2)["dropout"]
        for _ in range(200)
    }
    assert max(found) == 0.6
    assert all(optuna_has(dimension, value) for value in found)


def test_numbers_of_a_choice_change_to_a_neighbour() -> None:
    space = {"batch_size": Choice((10, 20, 40, 80)), "cell": Choice(("a", "b", "c"))}
    random = np.random.default_rng(0)
    found: dict[str, set[Any]] = {key: set() for key in space}
    for _ in range(200):
        point = changed(space, {"batch_size": 40, "cell": "a"}, random, 0.2)
        for key in space:
            found[key].add(point[key])
    assert found == {"batch_size": {20, 40, 80}, "cell": {"a", "b", "c"}}


def test_few_settings_of_a_recipe_are_changed_and_not_by_much() -> None:
    space = default_space(WORD, "word")
    recipe, random = point_of(WORD, space), np.random.default_rng(0)
    points = [changed(space, recipe, random, 0.2) for _ in range(500)]
    count = [sum(p[key] != recipe[key] for key in space) for p in points]
    assert min(count) == 1 and 1.5 < np.mean(count) < 2.5
    rates = [p["learning_rate"] / recipe["learning_rate"] for p in points]
    moved = [abs(math.log(rate)) for rate in rates if rate != 1]
    assert math.log(1.3) < np.median(moved) < math.log(2.0)


def test_the_parent_is_the_best_of_the_highest_rung_half_of_the_time() -> None:
    plan = a_plan(number=3)
    losses = [{0: 4.0}, {0: 5.0, 1: 4.6}, {0: 5.0, 1: 4.5}, {0: math.inf}, {0: 3.9}]
    trials = [a_trial(number, plan, each) for number, each in enumerate(losses)]
    assert [trial.number for trial in by_merit(trials)] == [2, 1, 4, 0]
    nearest = []
    for number in range(5, 205):
        point = near_point(plan.space, trials[0].params, trials, 0, number)
        same = [sum(point[k] == t.params[k] for k in plan.space) for t in trials]
        nearest.append(int(np.argmax(same)))
    shares = np.bincount(nearest, minlength=5) / len(nearest)
    assert shares[2] == pytest.approx(1 / 2, abs=0.12)
    assert shares[1] == pytest.approx(1 / 4, abs=0.1)
    assert shares[3] == 0


def test_while_nothing_has_a_figure_the_start_is_changed() -> None:
    plan = a_plan()
    start = point_of(WORD, plan.space)
    for trials in ([], [a_trial(0, plan, {0: math.inf})]):
        point = near_point(plan.space, start, trials, 0, 1)
        assert 1 <= sum(point[key] != start[key] for key in start) <= 6


def test_points_are_new_and_their_own() -> None:
    space = {"cell": Choice(("lstm", "gru")), "layers": Range(1, 3, whole=True)}
    plan = a_plan()
    made = []
    tried = [(cell, layers) for cell in ("lstm", "gru") for layers in (1, 2)]
    for number, (cell, layers) in enumerate(tried):
        trial = a_trial(number, plan, {0: 4.0 + number})
        trial.params = {"cell": cell, "layers": layers}
        made.append(trial)
    for number in range(4, 50):
        point = near_point(space, made[0].params, made, 0, number)
        assert point["layers"] == 3
        assert point == near_point(space, made[0].params, made, 0, number)


def test_a_choice_of_numbers_is_tried_to_its_end() -> None:
    space = {"batch_size": Choice((10, 20, 40, 80, 160, 320))}
    plan, made = a_plan(), []
    for number in range(6):
        point = near_point(space, {"batch_size": 10}, made, 0, number)
        assert point not in [trial.params for trial in made]
        made.append(a_trial(number, plan, {0: 4.0 + point["batch_size"]}))
        made[-1].params = point


def test_it_finds_more_than_chance_in_some_dozen_trials() -> None:
    """Ten settings, each a seventh of its range away from the best at the start."""
    space = {f"s{k}": Range(0.0, 1.0) for k in range(10)}
    plan = a_plan()

    def loss(point: dict[str, Any]) -> float:
        return 4.0 + sum((value - 0.5) ** 2 for value in point.values())

    better = 0
    for seed in range(20):
        trials = []
        chance = np.random.default_rng(seed)
        start = {key: 0.5 + chance.choice([-1, 1]) / 7 for key in space}
        for number in range(25):
            point = start if not number else near_point(space, {}, trials, seed, number)
            trials.append(a_trial(number, plan, {0: loss(point)}))
            trials[-1].params = point
        best = min(loss(trial.params) for trial in trials)
        drawn = [dict(zip(space, chance.random(10), strict=True)) for _ in range(25)]
        assert best < loss(trials[0].params)
        better += best < min(map(loss, drawn))
    assert better == 20
