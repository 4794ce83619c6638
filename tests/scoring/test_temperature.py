import numpy as np
import pytest

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.scoring.temperature import checked_temperatures, lowest


def test_the_lowest_point_of_a_parabola() -> None:
    grid = (0.8, 0.9, 1.1, 1.2)
    nats = np.array([3 * (t - 1.02) ** 2 + 5 for t in grid])
    assert lowest(grid, nats) == pytest.approx(1.02)


def test_at_an_end_of_the_grid() -> None:
    assert lowest((0.9, 1.0, 1.1), np.array([1.0, 2.0, 3.0])) == 0.9
    assert lowest((0.9, 1.0, 1.1), np.array([3.0, 2.0, 1.0])) == 1.1
    assert lowest((0.9, 1.0, 1.1), np.array([1.0, 1.0, 1.0])) == 0.9


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_what_is_no_temperature(wrong: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        checked_temperatures([1.0, wrong])
