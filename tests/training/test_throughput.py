"""What is measured of a training, with steps and a clock that take no time."""

from types import SimpleNamespace

import pytest

from keras_rnnlm.training import throughput
from keras_rnnlm.training.throughput import _Clock


def measured(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], compile_at: set[int]
) -> float:
    """Tokens a second of steps of 20 ms with 100 tokens, some of them compiling."""
    now = [0.0]
    monkeypatch.setattr(
        throughput, "time", SimpleNamespace(perf_counter=lambda: now[0])
    )
    clock = _Clock(2.0, SimpleNamespace(tokens_per_batch=100, lengths=lengths))
    clock.set_model(SimpleNamespace(stop_training=False))
    step = 0
    while not clock.model.stop_training:
        now[0] += 3.0 if step in compile_at else 0.02
        clock.on_train_batch_end(step, {"loss": 1.0})
        step += 1
    return clock.tokens / clock.taken


def test_compilations_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(monkeypatch, [35], {0}) == pytest.approx(5_000, rel=0.02)


@pytest.mark.parametrize("compile_at", [{0, 1, 2}, {0, 3, 4}, {0, 3, 5, 90, 91}])
def test_nor_those_of_further_shapes(
    monkeypatch: pytest.MonkeyPatch, compile_at: set[int]
) -> None:
    found = measured(monkeypatch, [8, 16, 32, 64, 128], compile_at)
    assert found == pytest.approx(5_000, rel=0.02)
