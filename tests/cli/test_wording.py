import pytest

from keras_rnnlm.cli import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3909, "1:05:09")],
)
def test_clock(seconds: float, text: str) -> None:
    assert wording.clock(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.5, "1.500"),
        (110.0479, "110.0"),
        (112.44, "112.4"),
        (12_345.67, "12,345.7"),
        (1e12, "1e+12"),
        (float("inf"), "inf"),
    ],
)
def test_figure(number: float, text: str) -> None:
    assert wording.figure(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999, "999"),
        (12_345, "12,345"),
        (4_870_000, "4.9 million"),
        (2e9, "2.0 billion"),
    ],
)
def test_size(number: float, text: str) -> None:
    assert wording.size(number) == text


def test_table() -> None:
    assert wording.table([("a", "1"), ("long", "2"), ("b", "")]) == (
        "a     1\nlong  2\nb"
    )
    assert wording.table([]) == ""
