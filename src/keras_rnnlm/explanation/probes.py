"""Units that track something, found by probing.

A *probe* is a logistic regression from the outputs of all layers' units to a property
of the place (`properties`). It is fitted on the later part of the text and judged on
the earlier one, which holds the part that is shown, by the area under the ROC curve:
the chance that a place that has the property is given more than one that has not; 0.5
is what guessing reaches. The *control* is the same probe fitted and judged on the same
labels in shuffled order (Hewitt and Liang 2019 have controls of this kind): what it
reaches, the number of units does and not what they know. Beside it stands the single
unit that tells best.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.explanation.passes import Pass
from keras_rnnlm.explanation.properties import NAMES, properties
from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.explanation.surprisal import rounded

JUDGED = 0.3
"""Share of the text on which probes are judged, its beginning."""
LEAST = 20
"""Places with the property, and without it, that either part must have."""
STEPS = 300
PENALTY = 1e-3

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Probe:
    """What was found of one property.

    Attributes:
        name: one of `properties.NAMES`.
        share: of the text's places that have it.
        area: under the ROC curve of the probe, on text it was not fitted on.
        control: the same of the probe of shuffled labels.
        layer: of the best unit, from 0.
        unit: its number in that layer, from 0.
        unit_area: its own area on the same text, 0.5 or more as a rule.
        sign: 1, or -1 if the unit is low where the property is true.
        probabilities: (T,) what the probe gives after each shown input.
        outputs: (T,) the unit's output after each of them.
    """

    name: str
    share: float
    area: float
    control: float
    layer: int
    unit: int
    unit_area: float
    sign: int
    probabilities: Floats
    outputs: Floats

    def to_json(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "name": self.name,
            "property": NAMES[self.name],
            "share": rounded(self.share),
            "area": rounded(self.area),
            "control": rounded(self.control),
            "layer": self.layer,
            "unit": self.unit,
            "unit_area": rounded(self.unit_area),
            "sign": self.sign,
            "probabilities": [rounded(value, 3) for value in self.probabilities],
            "outputs": [rounded(value, 3) for value in self.outputs],
        }


@dataclass(frozen=True, eq=False)
class Probes:
    """All probes of a text.

    Attributes:
        found: in the order of `properties.NAMES`.
        absent: names of properties that the text has too little of, or nothing else.
        fitted: places they were fitted on.
        judged: places they were judged on.
    """

    found: tuple[Probe, ...]
    absent: tuple[str, ...]
    fitted: int
    judged: int

    def to_json(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "probes": [probe.to_json() for probe in self.found],
            "absent": [NAMES[name] for name in self.absent],
            "fitted": self.fitted,
            "judged": self.judged,
        }


def probe(reading: Reading, found: Pass, seed: int = 0) -> Probes:
    """Probe the units of a pass for every property that the text has enough of.

    Args:
        reading: The text.
        found: The network's pass over it.
        seed: Of the shuffled labels.
    """
    units = np.concatenate(found.units, axis=1)
    flags = properties(reading.pieces[:-1])
    judged = int(JUDGED * len(units))
    first, rest = slice(0, judged), slice(judged, None)
    names = [
        name
        for name in NAMES
        if min(_smaller(flags[name][first]), _smaller(flags[name][rest])) >= LEAST
    ]
    absent = tuple(name for name in NAMES if name not in names)
    if not names:
        return Probes((), absent, len(units) - judged, judged)
    mean, deviation = units[rest].mean(axis=0), units[rest].std(axis=0)
    normal = (units - mean) / np.maximum(deviation, 1e-6)
    labels = np.stack([flags[name] for name in names], axis=1)
    generator = np.random.default_rng(seed)
    # Within each part, so that both have as many of them as before.
    shuffled = np.concatenate(
        [generator.permuted(labels[part], axis=0) for part in (first, rest)]
    )
    both = np.concatenate([labels, shuffled], axis=1)
    weights, bias = fit_logistic(normal[rest], both[rest])
    logits = normal @ weights + bias
    ranks = np.apply_along_axis(mean_ranks, 0, units[rest])
    widths = np.cumsum([0, *(layer.shape[1] for layer in found.units)])
    shown, results = reading.shown, []
    for i, name in enumerate(names):
        best, sign = _best_unit(ranks, labels[rest, i])
        layer = int(np.searchsorted(widths, best, side="right")) - 1
        results.append(
            Probe(
                name=name,
                share=float(labels[:, i].mean()),
                area=roc_area(logits[first, i], labels[first, i]),
                control=roc_area(logits[first, i + len(names)], shuffled[first, i]),
                layer=layer,
                unit=int(best - widths[layer]),
                unit_area=roc_area(sign * units[first, best], labels[first, i]),
                sign=sign,
                probabilities=1 / (1 + np.exp(-logits[:shown, i].astype(np.float64))),
                outputs=units[:shown, best].astype(np.float64),
            )
        )
    return Probes(tuple(results), absent, len(units) - judged, judged)


def fit_logistic(
    features: NDArray[np.float32],
    labels: Flags,
    steps: int = STEPS,
    penalty: float = PENALTY,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a logistic regression for each column of labels.

    Minimises the mean loss plus half the penalty times the squared weights, by
    Nesterov's accelerated gradient with the step that the loss's curvature allows.

    Args:
        features: (N, D), each about of deviation 1.
        labels: bool (N, P).
        steps: Of the descent.
        penalty: Of the squared weights; the bias has none.

    Returns:
        Weights (D, P) and biases (P,).
    """
    count, width = features.shape
    x = features.astype(np.float32)
    y = labels.astype(np.float32)
    rate = 1.0 / (0.25 * (_largest_curvature(x) + 1.0) + penalty)
    weights = np.zeros((width + 1, y.shape[1]), np.float32)
    ahead, momentum = weights, 1.0
    for _ in range(steps):
        wrong = 1 / (1 + np.exp(-(x @ ahead[:-1] + ahead[-1]))) - y
        gradient = np.concatenate(
            [x.T @ wrong / count + penalty * ahead[:-1], wrong.mean(axis=0)[None]]
        )
        after = ahead - np.float32(rate) * gradient
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = after + np.float32((momentum - 1) / following) * (after - weights)
        weights, momentum = after, following
    return weights[:-1], weights[-1]


def _largest_curvature(x: NDArray[np.float32]) -> float:
    """The largest eigenvalue of x'x / N, a little above."""
    v: NDArray[Any] = np.ones(x.shape[1], np.float32)
    size = 1.0
    for _ in range(30):
        v = x.T @ (x @ (v / np.float32(size))) / len(x)
        size = max(float(np.linalg.norm(v)), 1e-12)
    return 1.05 * size


def roc_area(scores: NDArray[Any], labels: Flags) -> float:
    """Return the chance that a true place scores above a false one; ties count half."""
    ranks = mean_ranks(scores)
    true = int(labels.sum())
    false = len(labels) - true
    return float((ranks[labels].sum() - true * (true + 1) / 2) / (true * false))


def mean_ranks(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return ranks (N,) from 1; those that tie have the mean of theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _best_unit(ranks: NDArray[np.float64], labels: Flags) -> tuple[int, int]:
    """Return the unit whose order tells most, and whether high (1) or low (-1) is true.

    Args:
        ranks: (N, units), of each unit's outputs.
        labels: (N,).
    """
    true = int(labels.sum())
    sums = ranks[labels].sum(axis=0) - true * (true + 1) / 2
    areas = sums / (true * (len(labels) - true))
    best = int(np.argmax(np.abs(areas - 0.5)))
    return best, 1 if areas[best] >= 0.5 else -1


def _smaller(labels: Flags) -> int:
    true = int(labels.sum())
    return min(true, len(labels) - true)
