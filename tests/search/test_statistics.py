"""Tests of significance, against SciPy and against their definitions."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keras_rnnlm.search.statistics import (
    holm,
    mean_deviation,
    randomisation_p,
    student_p,
    welch_p,
)

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))


def test_mean_and_deviation() -> None:
    assert mean_deviation([4.0]) == (4.0, None)
    assert mean_deviation([math.inf, math.inf]) == (math.inf, None)
    mean, deviation = mean_deviation([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert deviation == pytest.approx(math.sqrt(7 / 3))


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_randomisation_by_its_definition(differences: list[float]) -> None:
    found = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    expected = sum(total >= found - 1e-9 for total in sums) / len(sums)
    assert randomisation_p(differences) == pytest.approx(expected)


def test_randomisation_of_many_blocks_is_near_a_t_test() -> None:
    generator = np.random.default_rng(3)
    for shift in (0.0, 0.15, 0.3):
        differences = generator.normal(shift, 1, 200)
        expected = stats.ttest_1samp(differences, 0).pvalue
        assert randomisation_p(differences) == pytest.approx(expected, abs=0.01)
    same = randomisation_p(differences, seed=1)
    assert same == randomisation_p(differences, seed=1)


def test_randomisation_is_never_sure() -> None:
    assert randomisation_p(np.ones(200)) == pytest.approx(1 / 20_001)
    assert randomisation_p(np.zeros(200)) == 1.0
    with pytest.raises(ValueError, match="received none"):
        randomisation_p([])


def test_randomisation_has_the_level_it_says() -> None:
    """Of true null hypotheses, a twentieth is refused at 0.05."""
    generator = np.random.default_rng(0)
    refused = [randomisation_p(generator.standard_t(4, 60)) <= 0.05 for _ in range(200)]
    assert 0.01 < np.mean(refused) < 0.1


@settings(deadline=None)
@given(
    st.lists(NUMBERS, min_size=2, max_size=7), st.lists(NUMBERS, min_size=2, max_size=7)
)
def test_welch(first: list[float], second: list[float]) -> None:
    found = welch_p(first, second)
    if np.ptp(first) + np.ptp(second) == 0:
        assert found is None
        return
    with warnings.catch_warnings(action="ignore"):  # of equal values
        expected = stats.ttest_ind(first, second, equal_var=False).pvalue
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_welch_needs_two_of_each() -> None:
    assert welch_p([1.0], [2.0, 3.0]) is None
    # Against a constant it is the test of one sample.
    found = welch_p([1.0, 2.0, 4.0], [3.5, 3.5])
    assert found == pytest.approx(stats.ttest_1samp([1.0, 2.0, 4.0], 3.5).pvalue)


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 4.7, 30, 400])
@pytest.mark.parametrize("t", [0.0, 0.4, -2.1, 12.0, 80.0])
def test_student(t: float, freedom: float) -> None:
    expected = 2 * stats.t.sf(abs(t), freedom)
    assert student_p(t, freedom) == pytest.approx(expected, rel=2e-5, abs=1e-15)


def test_holm_by_hand() -> None:
    found = holm([0.01, 0.04, None, 0.03, 0.005])
    expected = [0.03, 0.06, None, 0.06, 0.02]
    assert found == [pytest.approx(p) if p is not None else None for p in expected]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_by_closed_testing(values: list[float]) -> None:
    """Holm is Bonferroni over all sets of hypotheses that hold the one in question."""
    found = holm(values)
    everything = range(len(values))
    for place, adjusted in enumerate(found):
        sets = [
            chosen
            for size in everything
            for chosen in itertools.combinations(everything, size + 1)
            if place in chosen
        ]
        expected = max(
            min(1.0, len(chosen) * min(values[i] for i in chosen)) for chosen in sets
        )
        assert adjusted == pytest.approx(expected)
