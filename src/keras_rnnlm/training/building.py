"""The network of a run: built, compiled, and changed when its vectors thaw."""

from collections.abc import Callable
from typing import Any

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.vocabulary import token_counts
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.networks import network_class
from keras_rnnlm.network_settings import network_arguments
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.word_vectors import StartingVectors


def make_network(
    settings: Settings,
    corpus: Corpus,
    vectors: StartingVectors | None,
    dtype: str | None = None,
) -> CausalLM:
    """Return a new network, its weights drawn from the seed."""
    made = network_class(settings.network)
    width = None if vectors is None else vectors.width
    arguments = network_arguments(settings, width)
    return made(corpus.vocabulary_size, **arguments, dtype=dtype)


def with_first_weights(
    network: CausalLM,
    settings: Settings,
    corpus: Corpus,
    vectors: StartingVectors | None = None,
    frozen: bool = False,
) -> CausalLM:
    """Return a new network with its words ranked, and its word vectors.

    Args:
        network: As `make_network` makes it.
        settings: Of the run.
        corpus: Its text.
        vectors: Word vectors to begin with.
        frozen: Whether they are not trained at first.
    """
    if settings.output != "full":
        network.rank_words(token_counts(corpus.train.ids, corpus.vocabulary_size))
    if vectors is not None:
        if vectors.known is not None:
            network.set_vectors(vectors.known)
        network.freeze_vectors(frozen)
    return network


def compile_for(
    network: CausalLM, settings: Settings, optimizer: Any, batches: Any
) -> None:
    """Make a network ready to be trained on the batches of a run."""
    _compile(network, optimizer)
    if settings.mode == "stream":
        network.allocate_state(batches.batch_size, training=True)
        network.allocate_state(batches.batch_size, training=False)


def release_vectors(network: CausalLM, settings: Settings) -> None:
    """Let frozen word vectors be trained, with an optimizer as new.

    What the old one has gathered is of the other weights alone: its count of steps
    would make the first steps of the vectors several times too long.
    """
    network.freeze_vectors(False)
    _compile(network, build_optimizer(settings))


def rate_setter(network: CausalLM) -> Callable[[float], None] | None:
    """Let steps on JAX run without waiting; return what sets their learning rate."""
    if keras.backend.backend() != "jax":
        return None
    from keras_rnnlm.training.jax_steps import PendingSteps

    return PendingSteps(network).set_learning_rate


def _compile(network: CausalLM, optimizer: Any) -> None:
    network.compile(optimizer=optimizer, weighted_metrics=[])
    network.optimizer.build(network.trainable_variables)
