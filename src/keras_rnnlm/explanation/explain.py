"""`keras_rnnlm.explain`: a model and a text in, an explanation out."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.errors import InputError
from keras_rnnlm.explanation.attribution import attribute
from keras_rnnlm.explanation.calibration import calibration
from keras_rnnlm.explanation.gates import layer_gates
from keras_rnnlm.explanation.looking import (
    Attention,
    CacheWeights,
    attention,
    cache_weights,
)
from keras_rnnlm.explanation.memory import LEAST, memory
from keras_rnnlm.explanation.passes import Pass, Told, run
from keras_rnnlm.explanation.probes import Probes, probe
from keras_rnnlm.explanation.properties import NAMES
from keras_rnnlm.explanation.reading import Reading, read
from keras_rnnlm.explanation.result import Explanation
from keras_rnnlm.explanation.surprisal import surprisal
from keras_rnnlm.language_model import UNITS, LanguageModel
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.folder import parameter_count
from keras_rnnlm.models.networks import kind_of
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.tuned import CACHE

TOKENS = 200
SAMPLE = 10_000
REACH = 16
# A page with more would be of no use to anybody, and attention keeps T x T weights.
MOST_TOKENS = 2000

Progress = Callable[[str, int, int], None]


def explain(
    lm: LanguageModel,
    text: str,
    *,
    tokens: int = TOKENS,
    sample: int = SAMPLE,
    reach: int = REACH,
    baseline: str = "mean",
    cache: CacheSettings | None = None,
    name: str = "model",
    text_name: str = "text",
    progress: Progress | None = None,
) -> Explanation:
    """Explain what a model says of a text.

    The text is read as one stream from a zero state. Its first `tokens` predictions are
    shown one by one, with the tokens they rest on; probes, memory and calibration are
    measured on the first `sample`.

    Args:
        lm: The model.
        text: The text.
        tokens: Most predictions that are shown, up to 2000.
        sample: Most predictions that are measured.
        reach: How many tokens back a prediction is attributed.
        baseline: What stands for no token: "mean" of the text's word vectors, "zero",
            or "unk".
        cache: A continuous cache to look into; that which `tune_evaluation` found, if
            None.
        name: What to call the model.
        text_name: What to call the text.
        progress: Called with what is computed, and how much is done and to do.

    Raises:
        InputError: For a text without a token to predict, a quantized model, or numbers
            out of their range.
        ConfigError: For an unknown baseline.

    Example:
        >>> found = keras_rnnlm.explain(lm, "the cat sat on the mat")
        >>> found.surprisal.bits, found.attribution.occlusion
        >>> found.save("report.html")
    """
    begun = time.monotonic()
    if not 1 <= tokens <= MOST_TOKENS:
        raise InputError(
            f"Expected 1 to {MOST_TOKENS} tokens to show, received {tokens}."
        )
    if sample < 1:
        raise InputError(f"Expected a sample of 1 token or more, received {sample}.")
    network = lm.exact_network("explain")
    reading = read(lm.tokenizer, text, tokens, sample)

    def told(what: str) -> Told | None:
        if progress is None:
            return None
        return lambda done, total: progress(what, done, total)

    found = run(network, reading, told("reading"))
    attribution = attribute(
        network,
        lm.tokenizer,
        reading,
        found.log_probabilities,
        reach,
        baseline,
        told("attributing"),
    )
    kept = memory(network, reading, found.log_probabilities, told("forgetting"))
    recurrent = isinstance(network, RNNLM)
    gates = layer_gates(network, reading) if isinstance(network, RNNLM) else ()
    looked = attention(network, reading, reach)
    probes = probe(reading, found)
    into = _cache(lm, reading, found, cache, reach)
    return Explanation(
        model=_describe(lm, network, name),
        text={
            "name": text_name,
            "shown": reading.shown,
            "measured": reading.predictions,
            "more": reading.more,
            "before": reading.pieces[0],
            "given": reading.given,
        },
        surprisal=surprisal(reading, found, lm.tokenizer),
        attribution=attribution,
        gates=gates,
        probes=probes,
        memory=kept,
        calibration=calibration(
            np.exp(found.likeliest_logs[:, 0]),
            found.likeliest[:, 0] == reading.ids[1:],
        ),
        attention=looked,
        cache=into,
        missing=tuple(
            _missing(network, reading, recurrent, gates, looked, into, probes, kept)
        ),
        seconds=time.monotonic() - begun,
    )


def _cache(
    lm: LanguageModel,
    reading: Reading,
    found: Pass,
    cache: CacheSettings | None,
    reach: int,
) -> CacheWeights | None:
    if cache is not None:
        return cache_weights(reading, found, cache, None, reach)
    lines = lm.tuned.lines if lm.tuned is not None else ()
    for line in reversed(lines):
        if line.cache is not None:
            share = line.weights.get(CACHE)
            return cache_weights(reading, found, line.cache, share, reach)
    return None


def _describe(lm: LanguageModel, network: CausalLM, name: str) -> dict[str, Any]:
    arguments = network.get_config()
    return {
        "name": name,
        "network": kind_of(network),
        "cell": arguments.get("cell"),
        "layers": arguments["layers"],
        "units": arguments["units"],
        "weights": parameter_count(network),
        "vocabulary": lm.tokenizer.vocabulary_size,
        "token": UNITS[lm.tokenizer.kind],
    }


def _missing(
    network: CausalLM,
    reading: Reading,
    recurrent: bool,
    gates: tuple[Any, ...],
    looked: tuple[Attention, ...],
    into: CacheWeights | None,
    probes: Probes,
    kept: Any,
) -> list[str]:
    """Say what an explanation has not got, and why."""
    sentences = []
    if reading.more:
        sentences.append(
            f"The text goes on: its first {reading.shown:,} predictions are shown and "
            f"the first {reading.predictions:,} measured (--tokens and --sample take "
            "more)."
        )
    if not recurrent:
        sentences.append(
            f"No gates and no cell state: a {kind_of(network)} network has no "
            "recurrent layers."
        )
    elif not any(layer.gates for layer in gates):
        sentences.append(
            f"No gates: the cell {network.get_config()['cell']} names none. Its state "
            "is shown."
        )
    elif not any(layer.held is not None for layer in gates):
        sentences.append(
            "No half-lives: no gate of the cell says what stays of its state."
        )
    if not looked:
        sentences.append("No attention weights: the model has no attention.")
    if into is None:
        sentences.append(
            "No cache weights: no continuous cache was tuned for the model."
        )
    if probes.absent:
        what = ", ".join(NAMES[name] for name in probes.absent)
        sentences.append(
            f"Not probed: {what}. Each part of the text needs 20 places where that is "
            "so, and 20 where it is not."
        )
    if kept is None:
        sentences.append(f"No effective memory: it takes {LEAST} predictions or more.")
    return sentences
