"""What ends a trial, and what ends a search."""

from collections.abc import Callable

import numpy as np
import pytest

from keras_rnnlm.errors import (
    ConfigError,
    FolderError,
    InputError,
    RNNLMError,
    TrainingError,
)
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.scorer import score_segments
from keras_rnnlm.search.tune_trial import FATAL, SETTINGS, TRAINING, kind_of

V = 11


def error_of(score: Callable[[], object]) -> RNNLMError:
    with pytest.raises(InputError) as error:
        score()
    return error.value


def test_a_network_without_probabilities_is_a_trial_that_failed() -> None:
    network = RNNLM(V, units=4, layers=1)
    for variable in network.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))
    starts, stops = np.array([1]), np.array([9])

    def score(token: int) -> Callable[[], object]:
        ids = np.full(9, token, np.int32)
        return lambda: score_segments(network, ids, starts, stops)

    error = error_of(score(3))
    assert "lower learning rate" in str(error)
    assert kind_of(error) == TRAINING
    # The same kind of error about the text, from the same place: no trial can be
    # trained.
    assert kind_of(error_of(score(V))) == FATAL


def test_what_else_goes_wrong() -> None:
    assert kind_of(TrainingError("The loss is not a number.")) == TRAINING
    assert kind_of(ConfigError("Settings that cannot be together.")) == SETTINGS
    for error in (InputError("There is no text."), FolderError("The disk is full.")):
        assert kind_of(error) == FATAL
