"""Figures as people see them: the lines of what is added at evaluation."""

import math
from typing import Any

import pytest

from keras_rnnlm.cli.additions import line_rows
from keras_rnnlm.cli.figures import line_time, system_rows
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.system import LineReport
from keras_rnnlm.scoring.tuned import Line


@pytest.mark.parametrize(
    ("preparation", "said"),
    [(0.0, "33.2 s"), (0.04, "33.2 s"), (1.06, "33.2 s, ready in 1.1 s")],
)
def test_the_time_of_a_line(preparation: float, said: str) -> None:
    assert line_time(33.24, preparation) == said


def test_a_line_of_evaluate() -> None:
    line = Line("ngram", weights={"model": 0.8, "ngram": 0.2})
    (row,) = line_rows([LineReport(line, {"perplexity": 50.0}, 2.0, 4.12)], 100.0)
    settings = "weights model 0.8, ngram 0.2"
    value = f"50.00 (-50.0%), 2.0 s, ready in 4.1 s  [{settings}]"
    assert row == ("n-gram model", value)


def test_a_plain_line_is_compared_with_the_model_and_the_others_with_it() -> None:
    lines = [(Line("static"), 80.0), (Line("temperature", 1.1), 60.0)]
    reports = [LineReport(line, {"perplexity": x}, 1.0) for line, x in lines]
    rows = line_rows(reports, 100.0)
    assert rows[0][1].startswith("80.00 (-20.0%)")
    assert rows[1][1].startswith("60.00 (-25.0%)")


def test_lines_of_an_ensemble_say_their_temperature() -> None:
    half, learning = {"model": 0.5, "member:a": 0.5}, DynamicSettings(rate=0.5)
    lines = [
        (Line("static", weights=half), "weights model 0.5, member:a 0.5"),
        (
            Line("temperature", 1.1, weights=half),
            "temperature 1.1; weights model 0.5, member:a 0.5",
        ),
        (
            Line("dynamic", 0.9, learning, weights=half),
            "rate 0.5, decay 0, segment 20; temperature 0.9; "
            "weights model 0.5, member:a 0.5",
        ),
    ]
    for line, said in lines:
        (row,) = line_rows([LineReport(line, {"perplexity": 50.0}, 1.0)], None)
        assert row[1] == f"50.00, 1.0 s  [{said}]"
    # That of one model says it as before, and once.
    (row,) = line_rows(
        [LineReport(Line("temperature", 1.1), {"perplexity": 50.0}, 1.0)], None
    )
    assert row[1] == "50.00, 1.0 s  [temperature 1.1]"


def test_the_lines_at_the_end_of_a_run() -> None:
    tested = [
        {"name": "static", "perplexity": 91.11, "seconds": 6.8},
        {"name": "temperature", "perplexity": None, "seconds": 6.8},
        {
            "name": "ngram",
            "perplexity": 73.9,
            "seconds": 33.2,
            "preparation_seconds": 1.1,
        },
    ]
    system: dict[str, Any] = {
        "valid": {"ngram": math.log(80), "static": math.log(100)},
        "test": tested,
        "search_seconds": 48.16,
    }
    search = ("search for additions", "48.2 s on the validation text")
    assert system_rows(system) == [
        ("test, plain", "91.11, 6.8 s"),
        ("test, + temperature", "too large for a number, 6.8 s"),
        ("test, + n-gram model", "73.90, 33.2 s, ready in 1.1 s"),
        search,
    ]
    assert system_rows({**system, "test": []}) == [
        ("valid, plain", "100.0"),
        ("valid, + n-gram model", "80.00"),
        search,
    ]
