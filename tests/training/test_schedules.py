"""Learning rates over progress; progress over steps and over the clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.config import Settings
from keras_rnnlm.training.schedules import ClockPace, Knot, StepPace, learning_rate

SCHEDULES = ("constant", "linear", "cosine", "one_cycle", "warm_restarts", "plateau")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_peaks_after_the_warm_up_and_ends_as_set(schedule: str) -> None:
    settings = Settings(
        schedule=schedule, learning_rate=0.5, warmup=0.2, final_learning_rate=0.1
    )
    assert learning_rate(settings, 0.0) == pytest.approx(0.02)
    assert learning_rate(settings, 0.2) == pytest.approx(0.5)
    end = 0.5 if schedule in ("constant", "plateau") else 0.05
    assert learning_rate(settings, 1.0) == pytest.approx(end)


@given(
    st.sampled_from(SCHEDULES), st.floats(0, 1), st.floats(0, 1), st.floats(-1.0, 2.0)
)
def test_the_rate_stays_within_its_bounds(
    schedule: str, warmup: float, final: float, progress: float
) -> None:
    settings = Settings(
        schedule=schedule, warmup=warmup, final_learning_rate=final, learning_rate=2.0
    )
    assert 0.0 <= learning_rate(settings, progress) <= 2.0 + 1e-12


def test_linear_is_linear() -> None:
    settings = Settings(schedule="linear", warmup=0.0, learning_rate=1.0)
    assert learning_rate(settings, 0.25) == pytest.approx(0.75)


def test_warm_restarts_are_cosines_each_longer_than_the_last() -> None:
    """Against SGDR's own notation: T_cur steps into a cycle of T_i."""
    settings = Settings(
        schedule="warm_restarts",
        cycles=3,
        cycle_growth=2.0,
        warmup=0.0,
        learning_rate=1.0,
        final_learning_rate=0.1,
    )
    wanted = []
    for length in (100, 200, 400):
        for now in range(length):
            wanted.append(0.1 + 0.5 * 0.9 * (1 + np.cos(np.pi * now / length)))
    found = [learning_rate(settings, step / 700) for step in range(700)]
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert learning_rate(settings, 1.0) == pytest.approx(0.1)


def test_plateaus_lower_the_rate_down_to_the_last_one() -> None:
    settings = Settings(
        schedule="plateau",
        plateau_factor=0.25,
        warmup=0.0,
        learning_rate=8.0,
        final_learning_rate=0.1,
    )
    rates = [learning_rate(settings, 0.5, decays) for decays in range(4)]
    assert rates == pytest.approx([8.0, 2.0, 0.8, 0.8])


def test_fine_tuning_goes_through_the_schedule_again() -> None:
    once = Settings(schedule="cosine", warmup=0.1, learning_rate=1.0)
    twice = once.replace(finetune=0.25, finetune_learning_rate=0.3)
    for x in (0.0, 0.05, 0.4, 0.99):
        assert learning_rate(twice, 0.75 * x) == pytest.approx(learning_rate(once, x))
        second = learning_rate(twice, 0.75 + 0.25 * x)
        assert second == pytest.approx(0.3 * learning_rate(once, x))
    assert learning_rate(twice, 1.0) == pytest.approx(0.0)


def test_a_pace_in_steps() -> None:
    pace = StepPace(4)
    assert [pace.progress(s) for s in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert [pace.finished(s) for s in (3, 4)] == [False, True]


@given(st.lists(st.floats(0.05, 3.0), min_size=400, max_size=400))
def test_a_pace_by_the_clock_ends_on_time_with_the_schedule_finished(
    seconds: list[float],
) -> None:
    pace, now, step = ClockPace(deadline=60.0), 0.0, 0
    progress = []
    while not pace.finished(step, now):
        progress.append(pace.progress(step))
        now += seconds[step % 400]
        step += 1
        pace.observe(step, now)
    assert progress == sorted(progress)
    assert now <= 60.0 + 3.0
    again = StepPace(step, pace.knots)
    assert [again.progress(s) for s in range(step)] == progress


def test_a_steady_clock_meets_the_deadline_closely() -> None:
    pace, now, step = ClockPace(deadline=100.0), 2.0, 0
    while not pace.finished(step, now):
        now += 0.1
        step += 1
        pace.observe(step, now)
        if step in (300, 600):  # a validation
            now += 3.0
            pace.pause(3.0)
    assert 99.0 < now <= 100.2
    assert pace.progress(step) > 0.995


def test_batches_of_new_shapes_compile_and_end_no_run_early() -> None:
    """Two shapes compile at once, two later; a step takes five milliseconds."""
    compile_at = {1: 5.0, 2: 2.5, 3: 2.5, 400: 2.5, 3000: 2.5}
    pace, now, step = ClockPace(deadline=60.0, shapes=5), 0.0, 0
    progress = []
    while not pace.finished(step, now):
        progress.append(pace.progress(step))
        step += 1
        now += compile_at.get(step, 0.005)
        pace.observe(step, now)
    assert 58.0 < now <= 60.01
    assert progress == sorted(progress) and progress[10] < 0.1
    assert progress[-1] > 0.98


def test_another_program_compiles_and_does_not_bend_the_line() -> None:
    """As where frozen word vectors thaw: after 400 steps of five milliseconds."""
    pace, now, step = ClockPace(deadline=60.0), 0.0, 0
    progress = []
    while not pace.finished(step, now):
        progress.append(pace.progress(step))
        if step == 400:
            pace.compile_anew()
        step += 1
        now += 5.0 if step in (1, 401) else 0.005
        pace.observe(step, now)
    assert progress[440] - progress[400] < 0.01
    assert 59.0 < now <= 60.01 and progress[-1] > 0.98


def test_a_run_of_a_few_slow_steps_goes_through_its_schedule() -> None:
    pace, now, step = ClockPace(deadline=60.0, shapes=8), 0.0, 0
    while not pace.finished(step, now):
        step += 1
        now += 3.0
        pace.observe(step, now)
    assert step == 20 and pace.progress(step) > 0.9


def test_reserved_time_is_not_planned_for_steps() -> None:
    pace = ClockPace(deadline=100.0)
    pace.observe(1, 1.0)
    pace.observe(11, 2.0, reserved=48.0)
    # 50 seconds are left for steps, at 10 a second.
    assert pace.knots[-1] == Knot(11, 0.0, 1 / 500)
