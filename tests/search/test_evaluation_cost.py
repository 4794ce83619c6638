"""What evaluation will take of a run's time, for texts of one and of many streams."""

from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.search.cost import Cost
from keras_rnnlm.search.evaluation_cost import evaluation_seconds

COST = Cost("float32", {}, None, 3e-4, 0.0)  # 0.1 ms to score a token


def corpus(folder: Path, files: int) -> Corpus:
    (folder / "train.txt").write_text("abc " * 50)
    valid = [folder / f"valid-{number}.txt" for number in range(files)]
    for path in valid:
        path.write_text("abcd" * (5000 // files))
    return Corpus.from_files(folder / "train.txt", valid=valid, tokenizer="char")


@pytest.mark.parametrize(
    ("files", "settings", "times"),
    [
        (1, {}, 6.0),
        (2, {}, 3.0),
        (50, {}, 1.0),
        (1, {"protocol": "lanes:64"}, 1.0),
        (1, {"mode": "sentence"}, 1.0),
        (1, {"minutes": 0.01}, 1.0),  # too long for such a time: read in lanes
    ],
)
def test_a_token_of_a_single_stream_takes_longer(
    tmp_path: Path, files: int, settings: dict[str, Any], times: float
) -> None:
    text = corpus(tmp_path, files)
    assert text.valid is not None
    tokens = text.valid.counts.tokens_predicted
    found = evaluation_seconds(text, Settings(validations=2, **settings), COST)
    assert found == pytest.approx(1e-4 * tokens * (2 + times))
