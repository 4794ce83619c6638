"""How fast a run goes, from steps of known lengths."""

import pytest

from keras_rnnlm.training.speed import Speed


def test_short_stretches_count_as_a_whole() -> None:
    speed = Speed()
    speed.add(100, 0.0)
    assert speed.value == 0
    speed.add(100, 1.0)  # compiled once more
    assert speed.value == 100
    for i in range(1, 10):
        speed.add(100, 1.0 + 0.1 * i)
    speed.pause(1.9)
    assert speed.value == pytest.approx(1000 / 1.9)
    speed.add(100, 2.0)
    assert speed.value == pytest.approx(1000 / 1.9)  # a tenth of a second says little
    for i in range(1, 40):
        speed.add(100, 2.0 + 0.1 * i)
    assert speed.value == pytest.approx(1000, rel=0.1)
