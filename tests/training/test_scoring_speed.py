"""What is set aside for scoring, with a scorer and a clock that cost no time."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.training import scoring_speed
from keras_rnnlm.training.scoring_speed import scoring_time

COMPILATION, EACH = 5.0, 0.001


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of targets of each call; the first of them compiles."""
    calls: list[int] = []
    now = [0.0]

    def score(network: Any, ids: Any, starts: Any, stops: Any) -> None:
        now[0] += EACH * int((stops - starts).sum())
        now[0] += 0.0 if calls else COMPILATION
        calls.append(int((stops - starts).sum()))

    monkeypatch.setattr(scoring_speed, "score_segments", score)
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(scoring_speed, "time", clock)
    return calls


def cut(segments: int, length: int) -> tuple[Any, Any, Any]:
    starts = 1 + length * np.arange(segments)
    return np.zeros(1 + segments * length, np.int32), starts, starts + length


def network(words: int) -> Any:
    return SimpleNamespace(vocabulary_size=words)


@pytest.mark.parametrize(
    ("words", "segments", "length", "sample"),
    [
        (65, 1, 100_000, 1024),  # one stream
        (65, 64, 2_000, 64 * 128),  # lanes, in calls as wide as the real ones
        (10_000, 64, 2_000, 64 * 32),
        (300_000, 64, 2_000, 1024),  # where a few are enough work
        (65, 4_000, 20, 64 * 20),  # lines
        (65, 1, 30, 30),
    ],
)
def test_what_is_set_aside(
    scored: list[int], words: int, segments: int, length: int, sample: int
) -> None:
    found = scoring_time(network(words), *cut(segments, length))
    assert found.compilation == pytest.approx(COMPILATION)
    assert found.seconds == pytest.approx(1.15 * EACH * segments * length)
    assert set(scored) == {sample}
    assert 2 <= len(scored) <= 4


def test_a_text_without_predictions_takes_no_time(scored: list[int]) -> None:
    found = scoring_time(network(65), *cut(3, 0))
    assert (found.compilation, found.seconds) == (0.0, 0.0)
    assert scored == []
