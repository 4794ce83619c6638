"""Whether a probability means what it says: of what is given 0.3, do 3 in 10 come?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.explanation.surprisal import rounded

BINS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Reliability of the likeliest token, in bins of equal width of its probability.

    Attributes:
        counts: int (bins,), predictions in each bin.
        confidence: (bins,) mean probability of the likeliest token; nan without any.
        accuracy: (bins,) how often it came; nan without any.
        error: the expected calibration error of Naeini et al. (2015), the mean over
            predictions of |accuracy - confidence| of their bin, from 0 to 1.
    """

    counts: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats
    error: float

    def to_json(self) -> dict[str, Any]:
        """Return the curve for JSON."""
        return {
            "predictions": int(self.counts.sum()),
            "counts": self.counts.tolist(),
            "confidence": [rounded(value) for value in self.confidence],
            "accuracy": [rounded(value) for value in self.accuracy],
            "error": rounded(self.error),
        }


def calibration(
    confidence: Floats, correct: NDArray[np.bool_], bins: int = BINS
) -> Calibration:
    """Put predictions into bins.

    Args:
        confidence: (N,) probability of the likeliest token.
        correct: (N,) whether it came.
        bins: Their number.
    """
    number = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(number, confidence, bins) / counts
        shares = np.bincount(number, correct, bins) / counts
    filled = counts > 0
    gaps = np.abs(shares - means)[filled]
    error = float((counts[filled] * gaps).sum() / counts.sum())
    return Calibration(counts, means, shares, error)
