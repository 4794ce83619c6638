"""What is set aside for scoring, with a scorer and a clock that cost no time."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.scoring.layout import planned_calls
from keras_rnnlm.training import scoring_speed
from keras_rnnlm.training.scoring_speed import scoring_time

COMPILATION, STEP, ROW = 5.0, 0.01, 0.001


def seconds(words: int, lengths: Any) -> float:
    """What scoring takes: each step of a call so much, and each of its rows."""
    return sum(
        times * steps * (STEP + ROW * rows)
        for (rows, steps), times in planned_calls(lengths, words).items()
    )


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of targets of each call; each shape of a call is compiled once."""
    calls: list[int] = []
    compiled: set[tuple[int, int]] = set()
    now = [0.0]

    def score(network: Any, ids: Any, starts: Any, stops: Any) -> None:
        shapes = set(planned_calls(stops - starts, network.vocabulary_size))
        now[0] += COMPILATION * len(shapes - compiled)
        compiled.update(shapes)
        now[0] += seconds(network.vocabulary_size, stops - starts)
        calls.append(int((stops - starts).sum()))

    monkeypatch.setattr(scoring_speed, "score_segments", score)
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(scoring_speed, "time", clock)
    return calls


def test_kernels_that_were_never_compiled_are_not_part_of_a_call(
    scored: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their half a minute, taken for that of each shape, left no time to train."""
    ready: list[str] = []
    monkeypatch.setattr(scoring_speed, "native_target", lambda: ready.append("avx2"))
    plain = scoring_speed.score_segments

    def score(*arguments: Any) -> None:
        assert ready, "the first call compiled the kernels"
        plain(*arguments)

    monkeypatch.setattr(scoring_speed, "score_segments", score)
    assert scoring_time(network(65), *cut(20, 300, 4_000)).compilation > 0
    assert len(scored) > 1


def cut(*lengths: int) -> tuple[Any, Any, Any]:
    stops = 1 + np.cumsum(lengths)
    return np.zeros(1 + sum(lengths), np.int32), stops - lengths, stops


def network(words: int) -> Any:
    return SimpleNamespace(vocabulary_size=words)


@pytest.mark.parametrize(
    ("words", "lengths"),
    [
        (65, [102_400]),  # one stream
        (65, [2_048] * 64),  # lanes, in calls as wide as the real ones
        (10_000, [2_048] * 64),
        (300_000, [2_048] * 64),
        (65, [20] * 4_000),  # lines
        (65, [30]),
        (65, [500_000, 50_000]),  # one file goes on alone
        (65, [300_000, *[3_000] * 40]),
    ],
)
def test_what_is_set_aside(scored: list[int], words: int, lengths: list[int]) -> None:
    found = scoring_time(network(words), *cut(*lengths))
    real = 1.15 * seconds(words, np.array(lengths))
    assert found.seconds == pytest.approx(real, rel=0.02)
    assert found.compilation == pytest.approx(
        COMPILATION * len(planned_calls(np.array(lengths), words))
    )
    assert sum(scored) <= 8 * 8192  # a little of it
    assert 2 <= len(scored) <= 8


def test_a_text_without_predictions_takes_no_time(scored: list[int]) -> None:
    found = scoring_time(network(65), *cut(0, 0, 0))
    assert (found.compilation, found.seconds) == (0.0, 0.0)
    assert scored == []
