"""When runs are validated, with steps and validations that take no time."""

import pytest

from keras_rnnlm.training.schedules import ClockPace, StepPace
from keras_rnnlm.training.validation_plan import ValidationPlan


def run(minutes: float, each: float, wanted: int, models: int = 1) -> tuple[float, int]:
    """Train for a time; return when it was over, and the number of steps."""
    pace = ClockPace(60.0 * minutes)
    plan = ValidationPlan(wanted, each, models)
    now, step, complete = 5.0, 0, False
    while not complete:
        step, now = step + 1, now + 0.1
        pace.observe(step, now, plan.reserved(pace.deadline - now))
        complete = pace.finished(step, now)
        if complete or plan.due(pace, step, now):
            now += models * each
            pace.pause(models * each)
            plan.took(step, each)
    assert step in plan.steps
    return now, step


@pytest.mark.parametrize("each", [0.1, 2.0, 8.0, 20.0, 36.0])
@pytest.mark.parametrize("wanted", [1, 2, 5, 20])
def test_a_run_ends_on_time_however_long_validations_take(
    each: float, wanted: int
) -> None:
    ended, steps = run(2.0, each, wanted)
    assert ended <= 121.0
    assert steps > 200  # of 1,150 without validations


def test_members_are_all_validated_and_trained() -> None:
    ended, steps = run(3.0, 8.0, wanted=5, models=4)
    assert ended <= 181.0
    assert steps > 500


def test_validations_are_spread_evenly() -> None:
    plan, pace, found = ValidationPlan(4), StepPace(100), []
    for step in range(1, 100):
        if plan.due(pace, step, 0.0):
            found.append(step)
            plan.took(step, 1.0)
    assert found == [25, 50, 75]


def test_what_is_repeated_is_validated_where_it_was() -> None:
    pace = StepPace(100, validated=[7, 90, 100])
    plan = ValidationPlan(4)
    assert [step for step in range(1, 100) if plan.due(pace, step, 0.0)] == [7, 90]
