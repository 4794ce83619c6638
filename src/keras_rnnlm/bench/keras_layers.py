"""Keras's own layers with `fit` and `evaluate`, on the backend of this process."""

import time
from typing import Any

import keras

from keras_rnnlm.bench.ours import BATCHES, CLIP_NORM, LEARNING_RATE, SCORED_STEPS
from keras_rnnlm.bench.runner import Runner
from keras_rnnlm.bench.synthetic import zipf_ids
from keras_rnnlm.bench.timed_fit import StepClock
from keras_rnnlm.bench.workloads import Workload

LAYERS = {
    "simple_rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


class KerasTraining(Runner):
    """A functional model, compiled with Keras's defaults, fitted on arrays."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Build and compile the model."""
        self._network = _network(workload, dtype)
        self._rows = workload.batch
        self._tokens, self._targets = _batches(workload, workload.steps, BATCHES)
        self.facts = _facts(self._network, "fit", "fit on arrays, jit_compile='auto'")

    def run(self, units: int) -> tuple[int, float]:
        """Do `units` steps of training, in fits of at most all batches."""
        seconds, left = 0.0, units
        while left:
            steps = min(left, BATCHES)
            clock = StepClock(steps)
            rows = steps * self._rows
            self._network.fit(
                self._tokens[:rows],
                self._targets[:rows],
                batch_size=self._rows,
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=[clock],
            )
            seconds += clock.seconds
            left -= steps
        return units * self._rows * self._tokens.shape[1], seconds


class KerasScoring(Runner):
    """`evaluate`, whose result is the mean loss alone."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Build and compile the model."""
        self._network = _network(workload, dtype)
        self._rows = workload.batch
        self._tokens, self._targets = _batches(workload, SCORED_STEPS, 1)
        self.facts = _facts(
            self._network, "evaluate", "evaluate on arrays, jit_compile='auto'"
        )

    def run(self, units: int) -> tuple[int, float]:
        """Score the text `units` times."""
        begun = time.perf_counter()
        for _ in range(units):
            loss = self._network.evaluate(
                self._tokens, self._targets, batch_size=self._rows, verbose=0
            )
            float(loss)
        return units * self._tokens.size, time.perf_counter() - begun


def _network(workload: Workload, dtype: str) -> Any:
    keras.utils.set_random_seed(0)
    policy = "mixed_bfloat16" if dtype == "bfloat16" else "float32"
    layer = LAYERS[workload.cell]
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(workload.vocabulary, workload.units, dtype=policy)(
        inputs
    )
    for _ in range(workload.layers):
        x = layer(workload.units, return_sequences=True, dtype=policy)(x)
    logits = keras.layers.Dense(workload.vocabulary, dtype=policy)(x)
    # Keras's advice for mixed precision: the loss takes float32.
    logits = keras.layers.Activation("linear", dtype="float32")(logits)
    network = keras.Model(inputs, logits)
    network.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=CLIP_NORM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return network


def _batches(workload: Workload, steps: int, batches: int) -> tuple[Any, Any]:
    """Inputs and targets, (batches x B, T) each; rows of one batch side by side."""
    rows = workload.batch * batches
    ids = zipf_ids(rows * steps + 1, workload.vocabulary)
    return ids[:-1].reshape(rows, steps), ids[1:].reshape(rows, steps)


def _facts(network: Any, how: str, settings: str) -> dict[str, Any]:
    parameters = int(network.count_params())
    return {"parameters": parameters, "how": how, "settings": settings}
