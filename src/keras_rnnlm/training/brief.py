"""A new network trained for some steps and thrown away: to measure, not to keep."""

from collections.abc import Callable
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.batches import (
    make_batches,
    make_noising,
    make_resegmentation,
)
from keras_rnnlm.training.building import (
    compile_for,
    make_network,
    rate_setter,
    with_first_weights,
)
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import SilentReporter
from keras_rnnlm.training.word_vectors import read_starting_vectors

SetRate = Callable[[float], None]


def train_briefly(
    corpus: Corpus, settings: Settings, callback: Callable[[Any, SetRate | None], Any]
) -> Any:
    """Train as a run does until a callback ends it; return the callback.

    Args:
        corpus: Its training text is read from the beginning.
        settings: Of network, optimizer and batches; averages do not count.
        callback: Makes the callback of `fit`, from the batches and what sets the
            learning rate of the next step (None: the model's optimizer is to be told).

    Raises:
        ConfigError: A network that would not fit into memory.
    """
    check_memory(settings, corpus.vocabulary_size, text=corpus.train)
    settings = settings.replace(averaging="none", average=0.0, average_start=None)
    passes = make_resegmentation(settings, corpus.train, corpus.tokenizer)
    noising = make_noising(settings, corpus)
    batches = make_batches(corpus.train, settings, noising, 0, passes)
    vectors = read_starting_vectors(settings, corpus, SilentReporter())
    network = with_first_weights(
        make_network(settings, corpus, vectors, settings.precision),
        settings,
        corpus,
        vectors,
    )
    compile_for(network, settings, build_optimizer(settings), batches)
    made = callback(batches, rate_setter(network))
    network.fit(batches, epochs=1, verbose=0, callbacks=[made])
    return made
