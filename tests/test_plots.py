import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.plots import training_curve

PNG = b"\x89PNG\r\n\x1a\n"


def a_run(
    steps: int, validations: int, vocabulary: int = 10_000
) -> list[dict[str, Any]]:
    """A run as training.jsonl records it, with a loss that falls as they do."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    every = max(steps // max(validations, 1), 1)
    start, end = math.log(vocabulary), math.log(vocabulary) / 2
    for step in range(1, steps + 1):
        floor = end + (start - end) * math.exp(-step / steps * 9)
        tokens, seconds = step * 700, step * 0.4
        common = {"step": step, "epoch": 0, "tokens": tokens, "seconds": seconds}
        rows.append(
            common
            | {
                "event": "train",
                "loss": floor + rng.normal(0, 0.12),
                "learning_rate": 1e-3 * min(step / 50, 1 - step / (steps + 1)),
                "tokens_per_second": 1750.0,
            }
        )
        if validations and step % every == 0:
            loss = floor + 0.15 + 0.3 * (step / steps) ** 6
            rows.append(
                common
                | {
                    "event": "valid",
                    "valid_loss": loss,
                    "valid_perplexity": math.exp(loss),
                }
            )
    return rows


def test_writes_a_png_of_readable_size(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    training_curve(a_run(2000, 12), path)
    data = path.read_bytes()
    assert data.startswith(PNG)
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert width >= 1000 and height >= 600


@pytest.mark.parametrize(
    "history",
    [
        [],
        a_run(1, 0),
        a_run(1, 1),
        a_run(300, 0),
        a_run(30, 3),
        [row | {"loss": math.nan} for row in a_run(5, 0)],
        [row for row in a_run(50, 5) if row["event"] == "valid"],
        [*a_run(200, 2), *[a_run(1, 0)[0] | {"loss": math.inf, "tokens": 200_000}]],
        [{"event": "train", "tokens": 7, "loss": 800.0, "learning_rate": 0.0}],
        [{"event": "train", "tokens": 7, "loss": 0.0, "learning_rate": None}],
        [{"event": "started"}, {"event": "valid", "tokens": 0, "valid_loss": 1e-9}],
    ],
    ids=[
        "empty",
        "one step",
        "one step and a validation",
        "no validation",
        "short",
        "only nan",
        "only validation",
        "ends in infinity",
        "enormous loss",
        "zero loss",
        "other events",
    ],
)
def test_draws_unusual_histories(history: list[dict[str, Any]], tmp_path: Path) -> None:
    training_curve(history, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)


def test_leaves_pyplot_alone(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    training_curve(a_run(10, 1), str(tmp_path / "curve.png"))
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_same_history_same_file(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        training_curve(a_run(150, 3), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
