import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.stops import StopWatch

# Two letters make overlaps and near misses frequent.
letters = st.text("ab", max_size=24)
stop_lists = st.lists(st.text("ab", min_size=1, max_size=5), max_size=3)


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """What is kept of the whole text, character by character, the slow way."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


@given(letters, stop_lists, st.data())
def test_any_division_into_pieces_gives_the_brute_force_cut(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    expected, stopped = cut(text, stops)
    watch = StopWatch(stops)
    passed, rest = "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        piece, rest = rest[:size], rest[size:]
        passed += watch.push(piece)
        # What has been passed on is never taken back.
        assert expected.startswith(passed)
    assert watch.stopped == stopped
    assert passed + watch.flush() == expected
    assert watch.flush() == ""


@given(letters, stop_lists)
def test_holds_back_no_more_than_it_must(text: str, stops: list[str]) -> None:
    watch = StopWatch(stops)
    passed = watch.push(text)
    if not watch.stopped:
        held = text[len(passed) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


def test_nothing_comes_after_the_stop() -> None:
    watch = StopWatch(["."])
    assert watch.push("One. Two") == "One"
    assert (watch.stopped, watch.push(". Three"), watch.flush()) == (True, "", "")


def test_one_string_is_one_stop_string_not_its_letters() -> None:
    watch = StopWatch("END")
    assert watch.push("DEN ") == "DEN "
    assert watch.push("END") == ""
    assert watch.stopped


def test_empty_stop_string_is_refused() -> None:
    with pytest.raises(InputError, match="at least one character"):
        StopWatch(["", "x"])
