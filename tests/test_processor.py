import os

from keras_rnnlm.processor import processor_flags, visible_cores


def test_this_machine() -> None:
    assert 1 <= visible_cores() <= (os.cpu_count() or 1)
    assert all(flag and not flag.isspace() for flag in processor_flags())
