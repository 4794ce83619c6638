import json
import math

import numpy as np
import pytest

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.scoring.formats import formatter
from keras_rnnlm.scoring.lines import LineScore

SCORE = LineScore(
    text="the ☃",
    tokens=["the", "<unk>", "<eos>"],
    ids=np.array([5, 1, 0], np.int32),
    log_probabilities=np.array([-1.0, -2.5, -math.log(10)]),
    oov=np.array([False, True, False]),
)
EMPTY = LineScore(
    "", [], np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.bool_)
)


def test_words_has_a_row_a_token() -> None:
    assert formatter("words")(SCORE) == (
        "the\t-1.000000\t-0.434294\n"
        "<unk>\t-2.500000\t-1.085736\tOOV\n"
        "<eos>\t-2.302585\t-1.000000\n"
        "\n"
    )
    assert formatter("words")(EMPTY) == "\n"


def test_words_writes_each_token_in_its_row() -> None:
    score = LineScore(
        text="\t\\r\n",
        tokens=["\t", "\\", "\r", "\n"],
        ids=np.arange(4, dtype=np.int32),
        log_probabilities=np.zeros(4),
        oov=np.zeros(4, np.bool_),
    )
    rows = formatter("words")(score).splitlines()
    assert [row.split("\t")[0] for row in rows] == [r"\t", r"\\", r"\r", r"\n", ""]


def test_total_is_one_number_a_line() -> None:
    assert formatter("total")(SCORE) == "-5.802585\n"
    assert formatter("total")(EMPTY) == "0.000000\n"


def test_jsonl_is_one_object_a_line() -> None:
    text = formatter("jsonl")(SCORE)
    assert text.count("\n") == 1
    assert "☃" in text
    assert json.loads(text) == {
        "text": "the ☃",
        "log_probability": pytest.approx(-3.5 - math.log(10)),
        "log10": pytest.approx(-3.5 / math.log(10) - 1),
        "perplexity": pytest.approx(math.exp((3.5 + math.log(10)) / 3)),
        "oov": 1,
        "tokens": [
            {"token": "the", "log_probability": -1.0, "oov": False},
            {"token": "<unk>", "log_probability": -2.5, "oov": True},
            {"token": "<eos>", "log_probability": -math.log(10), "oov": False},
        ],
    }
    assert json.loads(formatter("jsonl")(EMPTY))["perplexity"] is None


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'words'"):
        formatter("word")
