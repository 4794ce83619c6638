"""Our model, as its users run it: `RNNLM.fit`, `score_segments`, `LanguageModel`."""

import time
from typing import Any

import keras
import numpy as np

from keras_rnnlm.bench.runner import Runner
from keras_rnnlm.bench.synthetic import SyntheticText, zipf_ids
from keras_rnnlm.bench.timed_fit import StepClock
from keras_rnnlm.bench.workloads import Workload
from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.data.tokenizers import Tokenizer, WordTokenizer
from keras_rnnlm.generation.loops import choose
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.layers.kernels.native import library
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.scorer import score_segments

CLIP_NORM = 1.0
LEARNING_RATE = 1e-3
BATCHES = 16  # of synthetic text, begun again by each fit
SCORED_STEPS = 128
BURST = 64  # tokens


class OurTraining(Runner):
    """`compile` and `fit` over a stream with carried state, as `rnnlm train` does."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Build and compile the model; nothing has been traced yet."""
        self._network = _network(workload, dtype)
        self._network.compile(
            optimizer=keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=CLIP_NORM),
            weighted_metrics=[],
        )
        tokens = workload.batch * workload.steps * BATCHES + 1
        text = SyntheticText(zipf_ids(tokens, workload.vocabulary).astype(np.uint32))
        self._batches = StreamBatches(
            text, workload.batch, workload.steps, endless=True
        )
        self.facts = _facts(
            self._network, "fit", "RNNLM.fit over a stream with carried state"
        )

    def run(self, units: int) -> tuple[int, float]:
        """Do `units` steps of training."""
        clock = StepClock(units)
        self._network.fit(
            self._batches,
            steps_per_epoch=units,
            epochs=1,
            verbose=0,
            callbacks=[clock],
        )
        self.facts["loops"] = [layer.loop for layer in self._network.recurrent]
        return units * self._batches.tokens_per_batch, clock.seconds


class OurScoring(Runner):
    """`score_segments`, on which `rnnlm evaluate` and `rnnlm score` stand."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Lay out a text of as many segments as the batch has rows."""
        self._network = _network(workload, dtype)
        self._rows = workload.batch
        tokens = workload.batch * SCORED_STEPS
        self._ids = zipf_ids(tokens + 1, workload.vocabulary)
        self._starts = np.arange(1, tokens + 1, SCORED_STEPS, dtype=np.int64)
        self.facts = _facts(
            self._network, "scorer", "score_segments, all rows side by side"
        )

    def run(self, units: int) -> tuple[int, float]:
        """Score the text `units` times."""
        begun = time.perf_counter()
        for _ in range(units):
            scores = score_segments(
                self._network,
                self._ids,
                self._starts,
                self._starts + SCORED_STEPS,
                batch_size=self._rows,
            )
        seconds = time.perf_counter() - begun
        self.facts["loops"] = [layer.loop for layer in self._network.recurrent]
        return units * len(scores.nats), seconds


class OurGeneration(Runner):
    """`LanguageModel.generate`, one text at a time, drawn at temperature 1."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Join the network with a tokenizer of made-up words; quantize it if asked."""
        network = _network(workload, "float32")
        model = LanguageModel(network, _tokenizer(workload.vocabulary))
        self._model = model if dtype == "float32" else model.quantize(dtype)
        self.facts = _facts(
            network, "generate", f"LanguageModel.generate, {dtype} weights"
        )
        self.facts["loops"] = [choose(self._model.network).path]

    def run(self, units: int) -> tuple[int, float]:
        """Write one text of `units` bursts of tokens."""
        tokens = units * BURST
        begun = time.perf_counter()
        self._model.generate("a", tokens=tokens, seed=0)
        return tokens, time.perf_counter() - begun


def _network(workload: Workload, dtype: str) -> RNNLM:
    return RNNLM(
        workload.vocabulary,
        cell=workload.cell,
        units=workload.units,
        layers=workload.layers,
        tie_weights=False,
        seed=0,
        dtype="mixed_bfloat16" if dtype == "bfloat16" else "float32",
    )


def _facts(network: RNNLM, how: str, settings: str) -> dict[str, Any]:
    return {
        "parameters": int(network.count_params()),
        "kernels": library.target() if keras.backend.backend() == "jax" else None,
        "loops": [layer.planned_loop() for layer in network.recurrent],
        "how": how,
        "settings": settings,
    }


def _tokenizer(vocabulary: int) -> Tokenizer:
    if vocabulary <= 256:
        # Letters and what follows them in Unicode, one a token.
        return CharacterTokenizer([chr(97 + i) for i in range(vocabulary - 1)])
    words = ["a", *(f"word{i}" for i in range(vocabulary - 3))]
    return WordTokenizer(words, unk_is_word=True)
