"""Signals as flags, one inside of another."""

import os
import signal

from keras_rnnlm.training.signals import SignalFlag


def test_a_signal_that_nobody_read_is_known_outside() -> None:
    with SignalFlag() as outer:
        with SignalFlag() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (inner.number, outer.number) == (signal.SIGTERM, None)
        assert outer.number == signal.SIGTERM
    with SignalFlag() as outer, SignalFlag():
        pass
    assert outer.number is None
