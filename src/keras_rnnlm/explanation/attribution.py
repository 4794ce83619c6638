"""Which earlier tokens a prediction rests on.

Both ways ask what a token's vector adds to the log-probability of what came, set
against a *baseline* vector that stands for no token in particular. Both look at the
last `reach` inputs and keep the state before them.

Integrated gradients (Sundararajan, Taly and Yan 2017): with e the vectors of these
inputs and b the baseline in the place of each,

    IG_j = (e_j - b) . integral over s from 0 to 1 of d log p(b + s (e - b)) / d e_j

They are *complete*: their sum is log p(e) - log p(b). How far the sum that stands for
the integral misses that difference is the completeness error; see `integration`.

Occlusion: log p with all tokens minus log p with the baseline in the place of one, a
plain rerun. The differences need not add up to anything.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import ConfigError, InputError, nearest
from keras_rnnlm.explanation.integration import TOLERANCE, integrate, tolerances
from keras_rnnlm.explanation.passes import Floats, Told, states_before
from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.explanation.surprisal import rounded, rounded_rows
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled_once

BASELINES = {
    "mean": "the mean of the vectors of the text's tokens",
    "zero": "a vector of zeros",
    "unk": "the vector of <unk>",
}
OCCLUDED = 32


@dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions to T shown predictions of their last W inputs, in nats.

    Column d is the input d + 1 places before the token that is predicted. Where a text
    has no input so far back there is 0. A positive value made what came likelier.

    Attributes:
        baseline: name of the baseline: "mean", "zero" or "unk".
        gradients: (T, W) integrated gradients.
        differences: (T,) log p with the text's tokens minus log p with the baseline in
            the place of all W, which row t of `gradients` should sum to.
        points: int (T,) points of the sum that stands for the integral.
        occlusion: (T, W).
    """

    baseline: str
    gradients: Floats
    differences: Floats
    points: NDArray[np.int64]
    occlusion: Floats

    @property
    def reach(self) -> int:
        """W, how many inputs back it looks."""
        return int(self.gradients.shape[1])

    @property
    def errors(self) -> Floats:
        """(T,) completeness error in nats: sums minus differences."""
        errors: Floats = self.gradients.sum(axis=1) - self.differences
        return errors

    def to_json(self) -> dict[str, Any]:
        """Return both, with the completeness check, for JSON."""
        beyond = np.abs(self.errors) > tolerances(self.differences)
        return {
            "baseline": self.baseline,
            "baseline_is": BASELINES[self.baseline],
            "reach": self.reach,
            "gradients": rounded_rows(self.gradients),
            "sums": [rounded(value) for value in self.gradients.sum(axis=1)],
            "differences": [rounded(value) for value in self.differences],
            "points": self.points.tolist(),
            "completeness": {
                "mean_error": rounded(np.abs(self.errors).mean(), 6),
                "largest_error": rounded(np.abs(self.errors).max(), 6),
                "tolerance": TOLERANCE,
                "beyond_tolerance": int(beyond.sum()),
            },
            "occlusion": rounded_rows(self.occlusion),
        }


def attribute(
    network: CausalLM,
    tokenizer: Tokenizer,
    reading: Reading,
    log_probabilities: Floats,
    reach: int,
    baseline: str = "mean",
    told: Told | None = None,
) -> Attribution:
    """Attribute the shown predictions to the inputs before them.

    Args:
        network: In float32.
        tokenizer: Its tokenizer.
        reading: The text.
        log_probabilities: (N,) of its predictions.
        reach: Most inputs that a prediction is attributed to.
        baseline: "mean", "zero" or "unk".
        told: Called with the numbers of predictions done and of all, for both ways.

    Raises:
        ConfigError: For an unknown baseline, or a reach below 1.
        InputError: For "unk" without an `<unk>` in the vocabulary.
    """
    if reach < 1:
        raise ConfigError(f"Expected a reach of 1 token or more, received {reach}.")
    vectors, base = baseline_vector(network, tokenizer, reading, baseline)
    shown = reading.shown
    reach = min(reach, shown)

    def part(first: int) -> Told | None:
        if told is None:
            return None
        return lambda done, total: told(first + done, 2 * total)

    gradients, differences, points = integrate(
        network, reading, vectors, base, reach, part(0)
    )
    occlusion = _occluded(
        network, reading, vectors, base, reach, log_probabilities, part(shown)
    )
    return Attribution(baseline, gradients, differences, points, occlusion)


def baseline_vector(
    network: CausalLM, tokenizer: Tokenizer, reading: Reading, baseline: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vocabulary's vectors (V, D), and the baseline's (D,).

    They are those that `hidden_of` reads: behind the projection of vectors of another
    width.
    """
    words = ops.arange(network.vocabulary_size, dtype="int32")
    table = np.asarray(ops.convert_to_numpy(network.embedding(words)), np.float32)
    if baseline == "mean":
        return table, table[reading.ids].mean(axis=0, dtype=np.float64).astype("f4")
    if baseline == "zero":
        return table, np.zeros(table.shape[1], np.float32)
    if baseline != "unk":
        raise ConfigError(
            f"Expected the baseline {', '.join(BASELINES)}; received '{baseline}'."
            f"{nearest(baseline, BASELINES)}"
        )
    if tokenizer.unk_id is None:
        raise InputError(
            "Expected a vocabulary with <unk> for the baseline 'unk', received one of "
            f"{tokenizer.kind} pieces, which has none. Take 'mean' or 'zero'."
        )
    return table, table[tokenizer.unk_id]


def _occluded(
    network: CausalLM,
    reading: Reading,
    vectors: NDArray[np.float32],
    base: NDArray[np.float32],
    reach: int,
    log_probabilities: Floats,
    told: Told | None,
) -> Floats:
    """Rerun the text behind each input with the baseline in its place."""
    shown = reading.shown
    effects = np.zeros((shown, reach))
    rerun = compiled_once(network, _nats_of)
    inputs = np.arange(shown)
    for places, state in states_before(network, reading.ids, inputs, OCCLUDED):
        rows = np.resize(places, OCCLUDED)
        at = rows[:, None] + np.arange(reach)  # of inputs; the target is one further
        inside = at < shown
        at = np.minimum(at, shown - 1)
        given = vectors[reading.ids[at]]
        given[:, 0] = base
        nats = ops.convert_to_numpy(rerun(given, reading.ids[at + 1], state))
        change = log_probabilities[at] + nats.astype(np.float64)
        for row, place in enumerate(places.tolist()):
            back = np.flatnonzero(inside[row])
            effects[place + back, back] = change[row, back]
        if told is not None:
            told(int(places[-1]) + 1, shown)
    return effects


def _nats_of(network: CausalLM, vectors: Any, targets: Any, state: Any) -> Any:
    hidden, _ = network.hidden_of(vectors, state)
    return network.cross_entropy(hidden, targets).nats
