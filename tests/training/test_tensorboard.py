import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm import RNNLM
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError, FolderError
from keras_rnnlm.training.reporter import SilentReporter
from keras_rnnlm.training.tensorboard import (
    TAGS,
    EventReporter,
    EventWriter,
    TensorBoard,
)
from keras_rnnlm.training.train import train

pytest.importorskip("tensorboard", reason="needs keras-rnnlm[tensorboard]")


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what TensorBoard's own reader finds: steps and values by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    tags: list[str] = found.Tags()["scalars"] + found.Tags()["tensors"]
    rows: dict[str, list[tuple[int, float]]] = {}
    for tag in tags:
        events: Any = (
            found.Scalars(tag) if tag in found.Tags()["scalars"] else found.Tensors(tag)
        )
        rows[tag] = [
            (
                event.step,
                getattr(event, "value", None) or event.tensor_proto.float_val[0],
            )
            for event in events
        ]
    return rows


def test_events_come_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "new" / "board")
    writer.add(1, {"a": 2.0, "b": float("nan")})
    writer.add(5, {"a": 1.5, "c": float("inf")})
    writer.close()
    writer.close()
    assert read(tmp_path / "new" / "board") == {"a": [(1, 2.0), (5, 1.5)]}


def test_what_comes_after_a_resumed_step_is_void(tmp_path: Path) -> None:
    for values in ([(1, 3.0), (2, 2.0), (3, 9.0)], [(3, 1.0)]):
        writer = EventWriter(tmp_path)
        if len(values) == 1:
            writer.resume(3)
        for step, value in values:
            writer.add(step, {"a": value})
        writer.close()
    assert read(tmp_path) == {"a": [(1, 3.0), (2, 2.0), (3, 1.0)]}


def test_a_run_of_training(english_file: Path, tmp_path: Path) -> None:
    class Told(SilentReporter):
        seen: list[tuple[int, float]] = []

        def validation(
            self, step: int, nats_per_token: float, perplexity: float, best: bool
        ) -> None:
            self.seen.append((step, perplexity))

    corpus = Corpus.from_files(english_file, split=(0.8, 0.2), tokenizer="char")
    settings = Settings(
        units=8, layers=1, batch_size=4, steps=8, max_steps=12, validations=2
    )
    told = Told()
    train(
        corpus,
        settings,
        tmp_path / "run",
        reporter=EventReporter(tmp_path / "board", told),
    )
    found = read(tmp_path / "board")
    assert set(found) == set(TAGS)
    assert [step for step, _ in found["valid/perplexity"]] == [6, 12]
    for (_, value), (_, expected) in zip(
        found["valid/perplexity"], told.seen, strict=True
    ):
        assert value == pytest.approx(expected, rel=1e-5)
    assert found["train/loss"][-1][0] == 12


def test_with_fit(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, split=(0.8, 0.2), tokenizer="char")
    model = RNNLM(corpus.vocabulary_size, units=8, layers=1)
    model.compile(optimizer="adam")
    assert corpus.valid is not None
    board = TensorBoard(tmp_path, every=5)
    history = model.fit(
        corpus.train.batches(4, 16),
        validation_data=corpus.valid.batches(4, 16),
        epochs=2,
        verbose=0,
        callbacks=[board],
    )
    found = read(tmp_path)
    losses = history.history["val_loss"]
    values = [value for _, value in found["valid/loss"]]
    np.testing.assert_allclose(values, losses, rtol=1e-5)
    assert found["train/loss"][0][0] == 5
    assert found["train/learning_rate"][-1][1] == pytest.approx(0.001)
    # A further `fit` goes on behind the first.
    steps = found["train/loss"][-1][0]
    model.fit(corpus.train.batches(4, 16), epochs=1, verbose=0, callbacks=[board])
    assert read(tmp_path)["train/loss"][-1][0] == steps + steps // 2
    with pytest.raises(ConfigError, match="1 or more"):
        TensorBoard(tmp_path, every=0)


def test_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="Cannot write to"):
        EventWriter(tmp_path / "file")
    for name in list(sys.modules):
        if name.startswith("tensorboard"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigError, match=r"keras-rnnlm\[tensorboard\]"):
        EventWriter(tmp_path)
