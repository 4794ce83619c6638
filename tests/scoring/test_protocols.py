from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.scoring.protocols import (
    DEFAULT_LANES,
    LONGEST_CARRIED_FILE,
    Protocol,
    default_protocol,
    parse_protocol,
    segments,
)
from tests.scoring.texts import encoded

EOS = 0


def ranges(text: object, protocol: str) -> list[tuple[int, int]]:
    starts, stops = segments(text, parse_protocol(protocol))  # type: ignore[arg-type]
    assert starts.dtype == stops.dtype == np.int64
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


@pytest.mark.parametrize("text", ["carry", "sentence", "window:256", "lanes:8"])
def test_a_protocol_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_protocol(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("window", "window:256"),
        ("window:0", "1 or more"),
        ("window:-3", "received -3"),
        ("lanes:x", "received 'x'"),
        ("lanes:", "received ''"),
        ("carry:4", "takes no number"),
        ("sentence:2", "takes no number"),
        ("sentense", "Did you mean 'sentence'?"),
        ("windows:5", "Did you mean 'window'?"),
        ("", "received ''"),
    ],
)
def test_a_wrong_protocol_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_protocol(text)
    assert said in str(caught.value)


def test_segments_of_two_files_by_every_protocol() -> None:
    # Two files of lines "1 2", "", "3" and "4 5"; the first target is at position 1.
    text = encoded([[1, 2, EOS, EOS, 3, EOS], [4, 5, EOS]], line_end=EOS)
    assert ranges(text, "carry") == [(1, 7), (7, 10)]
    assert ranges(text, "sentence") == [(1, 4), (4, 5), (5, 7), (7, 10)]
    assert ranges(text, "window:4") == [(1, 5), (5, 7), (7, 10)]
    assert ranges(text, "lanes:2") == [(1, 4), (4, 7), (7, 8), (8, 10)]
    assert ranges(text, "lanes:100") == [(i, i + 1) for i in range(1, 10)]


def test_the_first_character_of_a_file_is_not_predicted() -> None:
    text = encoded([[7, EOS, 8], [9]], line_end=EOS, start=False)
    assert ranges(text, "carry") == [(1, 3)]
    assert ranges(text, "sentence") == [(1, 2), (2, 3)]


def test_without_line_ends_each_file_is_a_sentence() -> None:
    text = encoded([[1, 2, 3], [4, 5]], line_end=None, start=False)
    assert ranges(text, "sentence") == ranges(text, "carry")


@settings(deadline=None)
@given(
    files=st.lists(st.lists(st.integers(0, 4), max_size=30), max_size=5),
    start=st.booleans(),
    size=st.integers(1, 40),
)
def test_all_protocols_cover_the_same_predictions(
    files: Sequence[Sequence[int]], start: bool, size: int
) -> None:
    files = [file for file in files if file]
    text = encoded(files, line_end=EOS, start=start)
    wanted = [
        position
        for begin, end in zip(text.starts, text.stops, strict=True)
        for position in range(begin, end)
    ]
    for protocol in ("carry", "sentence", f"window:{size}", f"lanes:{size}"):
        found = ranges(text, protocol)
        assert all(begin < end for begin, end in found)
        assert [p for begin, end in found for p in range(begin, end)] == wanted
    lengths = [end - begin for begin, end in ranges(text, f"window:{size}")]
    assert max(lengths, default=0) <= size


@settings(deadline=None)
@given(length=st.integers(1, 500), lanes=st.integers(1, 40))
def test_lanes_are_nearly_equal(length: int, lanes: int) -> None:
    text = encoded([[1] * length], line_end=EOS)
    lengths = [end - begin for begin, end in ranges(text, f"lanes:{lanes}")]
    assert len(lengths) == min(lanes, length)
    assert max(lengths) - min(lengths) <= 1


def test_the_default_carries_unless_a_file_is_very_long() -> None:
    short = encoded([[1] * 100], line_end=EOS)
    assert default_protocol(short) == Protocol("carry")
    long = encoded([np.ones(LONGEST_CARRIED_FILE + 1, np.uint16)], line_end=EOS)
    assert default_protocol(long) == Protocol("lanes", DEFAULT_LANES)
    many = encoded([np.ones(LONGEST_CARRIED_FILE // 2, np.uint16)] * 3, line_end=EOS)
    assert default_protocol(many) == Protocol("carry")
