"""The line of a network, or of several, that a pass over validation text asks for."""

import logging

from keras_rnnlm.scoring.experts import Floats
from keras_rnnlm.scoring.held_out import cut_of, holds
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.passes import PassScores
from keras_rnnlm.scoring.temperature import GRID, logs_at, lowest
from keras_rnnlm.scoring.tuned import Line

_log = logging.getLogger("keras_rnnlm")


def plain_line(scores: PassScores, most: int) -> Line:
    """Return the line of a network as it stands: at a temperature, if that holds.

    Args:
        scores: Of a pass without learning, at the temperatures of `GRID`.
        most: Predictions to look at, from the first on.
    """
    cut = cut_of(most)
    as_it_is = Line("temperature", 1.0)
    gains = logs_of(scores, line_of(scores, cut), most)
    gains -= logs_of(scores, as_it_is, most)
    if holds(gains[cut:]):
        return line_of(scores, most)
    _log.info("A temperature did not help on the validation text.")
    return as_it_is


def line_of(
    scores: PassScores, most: int, dynamic: DynamicSettings | None = None
) -> Line:
    """Return the line of a pass with the temperature that its beginning asks for.

    Args:
        scores: At the temperatures of `GRID`.
        most: Predictions that the temperature is chosen on, from the first on.
        dynamic: How the network learnt in the pass, or None.
    """
    temperature = lowest(GRID, scores.nats[:, :most].sum(axis=1))
    name = "temperature" if dynamic is None else "dynamic"
    return Line(name, temperature, dynamic)


def logs_of(scores: PassScores, line: Line, most: int) -> Floats:
    """Return the natural-log probabilities of the first predictions, (most,).

    Args:
        scores: At the temperatures of `GRID`.
        line: Whose temperature counts.
        most: Predictions.
    """
    return logs_at(line.temperature, GRID, scores.nats[:, :most])
