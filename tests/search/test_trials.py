import itertools

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.search.trials import (
    HIGHEST,
    LOWEST,
    MOST_DROPOUT,
    orders,
    trial_point,
    trial_settings,
)

LSTM = Settings(learning_rate=0.004, dropout=0.1, seed=5)
OTHER = Settings(network="transformer", units=64, learning_rate=0.02)


def test_the_first_trial_is_the_recipe() -> None:
    assert trial_settings(LSTM, 0, 7) == LSTM


def test_all_models_are_tried_at_the_same_points() -> None:
    for trial in range(1, 9):
        found = [trial_settings(given, trial, 7) for given in (LSTM, OTHER)]
        factors = [
            run.learning_rate / given.learning_rate
            for run, given in zip(found, (LSTM, OTHER), strict=True)
        ]
        assert factors[0] == pytest.approx(factors[1], rel=0.01)
        assert LOWEST * 0.99 <= factors[0] <= HIGHEST * 1.01
        assert found[0].dropout == found[1].dropout <= MOST_DROPOUT
        # Nothing else changes.
        back = {"learning_rate": LSTM.learning_rate, "dropout": LSTM.dropout}
        assert found[0].replace(**back) == LSTM


def test_points_depend_on_seed_and_number() -> None:
    assert trial_point(3, 7) == trial_point(3, 7)
    assert trial_point(3, 7) != trial_point(3, 8)


def test_few_points_leave_no_part_out() -> None:
    """Each third of both ranges, and each quarter of the square, has a point."""
    for seed in range(20):
        points = np.array([trial_point(trial, seed) for trial in range(1, 9)])
        for column in points.T:
            assert set((3 * column).astype(int)) == {0, 1, 2}
        assert len({tuple((2 * point).astype(int)) for point in points}) == 4


def test_orders() -> None:
    assert list(itertools.islice(orders(5), 6)) == [5, 4, 6, 3, 7, 2]
    assert list(itertools.islice(orders(1), 3)) == [1, 2, 3]
