from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.data.replay import ReplayBatches, lanes_of
from keras_rnnlm.data.streams import StreamBatches
from tests.models.tiny import text


def streams(start: int = 0, **options: Any) -> tuple[StreamBatches, StreamBatches]:
    new = StreamBatches(text(9, 61), 2, 5, start=start, endless=True)
    old = StreamBatches(text(9, 400), 3, 5, start=start, endless=True, **options)
    return new, old


def test_rows_are_those_of_the_two_streams_at_every_step() -> None:
    new, old = streams()
    joined = ReplayBatches(*streams())
    assert (joined.batch_size, joined.tokens_per_batch) == (5, 25)
    assert joined.batches_per_epoch == new.batches_per_epoch
    for index in range(3 * new.batches_per_epoch):  # through epochs of the new text
        inputs, targets = joined[index]
        for rows, part in ((slice(0, 2), new), (slice(2, 5), old)):
            expected, expected_targets = part[index]
            np.testing.assert_array_equal(targets[rows], expected_targets)
            for name, array in expected.items():
                np.testing.assert_array_equal(inputs[name][rows], array)


def test_a_later_start_goes_on() -> None:
    whole, late = ReplayBatches(*streams()), ReplayBatches(*streams(start=4))
    for index in range(5):
        np.testing.assert_array_equal(whole[4 + index][1], late[index][1])


def test_windows_must_be_alike() -> None:
    new, _ = streams()
    with pytest.raises(ValueError, match="windows of one length"):
        ReplayBatches(new, StreamBatches(text(9, 400), 3, 4, endless=True))
    with pytest.raises(ValueError, match="windows of one length"):
        ReplayBatches(new, StreamBatches(text(9, 400), 3, 5))


def test_a_text_too_short_for_its_lanes_is_said_to_be() -> None:
    new, old = streams()
    assert ReplayBatches(new, old).note == ""
    short = StreamBatches(text(9, 12), 3, 5, endless=True)
    joined = ReplayBatches(new, short)
    assert joined.batch_size == 4
    assert joined.note.startswith("Of the text to replay: The text is short (11 pred")


@given(batch_size=st.integers(2, 300), share=st.floats(0.001, 0.999))
def test_both_texts_have_a_lane(batch_size: int, share: float) -> None:
    new, old = lanes_of(batch_size, share)
    assert new >= 1 and old >= 1 and new + old == batch_size
    assert abs(old - share * batch_size) <= 1
