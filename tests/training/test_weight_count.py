"""Weights counted before there is a network, against networks that are built."""

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.models.folder import parameter_count
from keras_rnnlm.models.networks import network_class
from keras_rnnlm.network_settings import network_arguments
from keras_rnnlm.training.weight_count import count_weights

VOCABULARY = 50
# Cells are counted and built in tests/models.
KINDS = {
    "mlstm": Settings(cell="mlstm", units=24),
    "transformer": Settings(network="transformer", heads=2, units=24),
    "convolutional": Settings(network="convolutional", layers=3, units=24),
    "narrow words": Settings(embedding=12, units=24),
    "dense": Settings(connections="dense", layers=3, units=24),
    "mixture": Settings(output="mixture", mixtures=3, units=24),
    "sampled": Settings(output="sampled", output_samples=20, units=24),
    "adaptive": Settings(output="adaptive", tie_weights=False, units=24),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_count_is_that_of_the_network(name: str) -> None:
    settings = KINDS[name]
    built = network_class(settings.network)(VOCABULARY, **network_arguments(settings))
    assert count_weights(settings, VOCABULARY) == parameter_count(built)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(units=24),
        Settings(units=24, embedding=24),
        Settings(units=24, embedding=12, tie_weights=False),
        Settings(network="transformer", heads=2, units=24),
    ],
    ids=["as they are", "projected", "untied", "transformer"],
)
def test_word_vectors_of_another_width_are_counted(settings: Settings) -> None:
    arguments = network_arguments(settings, 20)
    built = network_class(settings.network)(VOCABULARY, **arguments)
    assert count_weights(settings, VOCABULARY, 20) == parameter_count(built)


def test_what_cannot_be_made_is_not_counted() -> None:
    assert count_weights(Settings(cell="mlstm", units=25), VOCABULARY) is None
