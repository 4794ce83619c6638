from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.drawing import round_numbers
from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.plot import comparison_plot
from keras_rnnlm.search.summary import summarise
from tests.search.made import a_comparison, failed, records_in, run_of


def is_picture(path: Path) -> bool:
    data = path.read_bytes()
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    return data.startswith(b"\x89PNG\r\n\x1a\n") and width >= 1000 and height >= 600


def test_a_picture(tmp_path: Path) -> None:
    comparison_plot(summarise(a_comparison(tmp_path)), tmp_path / "a.png")
    assert is_picture(tmp_path / "a.png")


@pytest.mark.parametrize("number", range(4))
def test_pictures_of_little(tmp_path: Path, number: int) -> None:
    run = [
        failed("lstm"),
        run_of("lstm", 800.0),
        run_of("lstm", 1.0, history=[[0.0, 1.0]]),
        run_of("ngram", 1.0, history=[[2.0, 1.0]]),
    ][number]
    records = records_in(tmp_path)
    records.add(run)
    summary = summarise(Comparison(records, (run.model,)))
    comparison_plot(summary, tmp_path / "a.png")
    assert is_picture(tmp_path / "a.png")


@given(st.floats(0.01, 1e5), st.floats(1.05, 1e4))
def test_round_numbers(low: float, ratio: float) -> None:
    high = low * ratio
    found = round_numbers(low, high)
    assert 3 <= len(found) <= 25
    assert found == sorted(set(found))
    assert all(low * (1 - 1e-9) <= number <= high * (1 + 1e-9) for number in found)
    digits = [f"{number:.9e}".partition("e")[0].rstrip("0.") for number in found]
    assert all(len(each) <= 6 for each in digits)  # with a point
