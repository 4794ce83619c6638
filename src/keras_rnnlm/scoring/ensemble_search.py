"""The search for the ladder of an ensemble whose networks differ by their seeds alone.

Such networks are alike: what suits one of them suits all. So dynamic evaluation is
searched by trials of the first, and all of them learn with its settings; only the scale
of gradients is each network's own. What is found is judged by the mean of all
probabilities: the temperature, whether learning holds, and all that is mixed in.
"""

import dataclasses
from typing import Any

import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.scoring.ensemble import hash_of_all
from keras_rnnlm.scoring.experts import Floats, mix
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.pass_lines import logs_of
from keras_rnnlm.scoring.passes import PassScores
from keras_rnnlm.scoring.search import Search
from keras_rnnlm.scoring.system import Progress, Sources
from keras_rnnlm.scoring.temperature import GRID
from keras_rnnlm.scoring.tuned import MODEL, Line, Tuned


def search_ensemble(
    sources: Sources,
    text: EncodedText,
    seconds: float = 600.0,
    passes: int = 0,
    progress: Progress | None = None,
    least_speed: float = 0.0,
) -> Tuned:
    """Search the settings of an ensemble's ladder, every line of which has all members.

    Args:
        sources: The first network and the others, as members without settings of their
            own; a scale for each adds the scaled form of dynamic evaluation, an n-gram
            model its line.
        text: Validation text.
        seconds: As of `search.search`, for all networks together.
        passes: Of Monte Carlo dropout, by the first network; 0 for none.
        progress: As of `search.search`.
        least_speed: Predictions a second that dynamic evaluation has to make, where
            each is made by all networks, one after the other.

    Returns:
        The settings, with the scales of all networks where a line learns scaled.

    Raises:
        InputError: As of `search.search`.
    """
    return EnsembleSearch(sources, text, seconds, passes, progress, least_speed).run()


def equal_weights(sources: Sources) -> dict[str, float]:
    """Return the weights of experts under which all networks count alike."""
    names = [MODEL, *(member.name for member in sources.members)]
    return {name: 1 / len(names) for name in names}


class EnsembleSearch(Search):
    """A search in which the model and the members beside it are one."""

    def __init__(self, *arguments: Any) -> None:
        """Take the arguments of `search_ensemble`."""
        super().__init__(*arguments)
        self._passes_of: dict[DynamicSettings | None, tuple[PassScores, ...]] = {}

    def run(self) -> Tuned:
        """Search; see the module."""
        tuned = super().run()
        members = self._sources.members
        networks = [self._sources.network, *(member.network for member in members)]
        scales = tuple(member.scale for member in members if member.scale is not None)
        return dataclasses.replace(
            tuned,
            weights_hash=hash_of_all(networks),
            member_scales=() if tuned.scale is None else scales,
        )

    @property
    def _networks(self) -> int:
        return 1 + len(self._sources.members)

    def _of_all(self, line: Line) -> Line:
        return dataclasses.replace(line, weights=equal_weights(self._sources))

    def _whole(self, dynamic: DynamicSettings | None, most: int) -> PassScores:
        first = super()._whole(dynamic, most)
        others = [
            self._read(member.network, member.scale, dynamic, GRID, most)
            for member in self._sources.members
        ]
        each = (first, *others)
        shares = [1 / len(each)] * len(each)
        nats = [
            -mix([-scores.nats[place] for scores in each], shares)
            for place in range(len(GRID))
        ]
        seconds = sum(scores.seconds for scores in each)
        self._passes_of[dynamic] = each
        return dataclasses.replace(first, nats=np.stack(nats), seconds=seconds)

    def _experts(self, line: Line, scores: PassScores) -> dict[str, Floats]:
        most = scores.nats.shape[1]
        each = self._passes_of[line.dynamic]
        return {
            name: logs_of(own, line, most)
            for name, own in zip(line.weights, each, strict=True)
        }
