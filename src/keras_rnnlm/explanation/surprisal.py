"""How surprised a model is by each token, and what it had expected."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.explanation.passes import Pass
from keras_rnnlm.explanation.reading import Reading

LN2 = math.log(2)
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surprisal:
    """The shown predictions, T of them.

    Attributes:
        pieces: what came, as it stands in the text.
        tokens: the vocabulary's name of it.
        oov: bool (T,), whether it was not in the vocabulary: `<unk>` was predicted.
        nats: (T,) its surprisal, -log p.
        entropies: (T,) expected surprisal, in nats.
        ranks: (T,) its place among all tokens, the likeliest being 1.
        alternatives: of each prediction the likeliest tokens and their probabilities,
            the likeliest first; the token that came may be among them.
    """

    pieces: list[str]
    tokens: list[str]
    oov: NDArray[np.bool_]
    nats: Floats
    entropies: Floats
    ranks: NDArray[np.int64]
    alternatives: list[list[tuple[str, float]]]

    @property
    def bits(self) -> Floats:
        """Surprisal in bits."""
        return self.nats / LN2

    def to_json(self) -> list[dict[str, Any]]:
        """Return an object for each prediction."""
        return [
            {
                "text": self.pieces[t],
                "token": self.tokens[t],
                "oov": bool(self.oov[t]),
                "nats": rounded(self.nats[t]),
                "bits": rounded(self.nats[t] / LN2),
                "probability": math.exp(-self.nats[t]),
                "rank": int(self.ranks[t]),
                "entropy": rounded(self.entropies[t]),
                "alternatives": [
                    {"token": token, "probability": probability}
                    for token, probability in self.alternatives[t]
                ],
            }
            for t in range(len(self.pieces))
        ]


def surprisal(reading: Reading, found: Pass, tokenizer: Tokenizer) -> Surprisal:
    """Gather the shown predictions of a pass."""
    shown, names = reading.shown, tokenizer.tokens
    came = slice(1, shown + 1)
    return Surprisal(
        pieces=reading.pieces[came],
        tokens=[names[token] for token in reading.ids[came].tolist()],
        oov=reading.oov[came],
        nats=-found.log_probabilities[:shown],
        entropies=found.entropies[:shown],
        ranks=found.ranks[:shown],
        alternatives=[
            [
                (names[token], math.exp(log))
                for token, log in zip(ids, logs, strict=True)
            ]
            for ids, logs in zip(
                found.likeliest[:shown].tolist(),
                found.likeliest_logs[:shown].tolist(),
                strict=True,
            )
        ],
    )


def rounded(value: float, digits: int = 4) -> float | None:
    """Return a number as JSON holds it: a few digits, None for one that is none."""
    value = float(value)
    return round(value, digits) if math.isfinite(value) else None


def rounded_rows(values: Floats) -> list[list[float | None]]:
    """Return the rows of a matrix as JSON holds them."""
    return [[rounded(value) for value in row] for row in values]
