import os

import pytest

from keras_rnnlm import processor
from keras_rnnlm.processor import processor_flags, processor_model, visible_cores


def test_this_machine() -> None:
    assert 1 <= visible_cores() <= (os.cpu_count() or 1)
    assert all(flag and not flag.isspace() for flag in processor_flags())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"cpu family": "25", "model": "17", "stepping": "1"},
            "cpu family 25, model 17, stepping 1",
        ),
        (
            {"CPU part": "0xd0c", "CPU implementer": "0x41"},
            "CPU implementer 0x41, CPU part 0xd0c",
        ),
        ({}, ""),
    ],
)
def test_what_tells_processors_of_one_name_apart(
    told: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_told", lambda key: told.get(key, ""))
    assert processor_model.__wrapped__() == expected  # not what is known already
