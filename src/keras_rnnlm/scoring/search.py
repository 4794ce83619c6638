"""The search for the settings of a ladder, on validation text and within a time.

1. One pass of the network as it stands, on as much of the text as a fifth of the time
   allows, gives the temperature and the best of a grid of caches.
2. Dynamic evaluation is searched by trials: the rate of each form in steps of four and
   then of two, the decay, the length of a segment, the rate again, each from the best
   found so far. A trial reads as much of the validation text, from its beginning and in
   order, as lets about a dozen of them fit into the time.
3. One pass with what was found, on as much as the time left allows and half as much
   again as a trial at least, gives the temperature and the cache once more, and EM the
   weights of all experts.

What does not help on text that it was not searched on (`held_out`) is left out. The
settings are as good as the validation text is like the text they will be used on: it
must not be the text that is reported.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.cache_grid import cache_grid
from keras_rnnlm.scoring.checks import check_ids
from keras_rnnlm.scoring.climbing import Trials, climb, rates
from keras_rnnlm.scoring.dropout import dropout_seeds
from keras_rnnlm.scoring.dynamic import DivergedError, DynamicReader
from keras_rnnlm.scoring.ensemble import weights_hash
from keras_rnnlm.scoring.experts import Floats
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.held_out import HELD_OUT, LEAST_GAIN, cut_of, holds
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.mixture_search import MixtureSearch
from keras_rnnlm.scoring.pass_lines import line_of, logs_of, plain_line
from keras_rnnlm.scoring.passes import (
    BLOCK,
    PassScores,
    Reader,
    StaticReader,
    run_pass,
)
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.system import Progress, Sources
from keras_rnnlm.scoring.temperature import GRID
from keras_rnnlm.scoring.tuned import MODEL, NGRAM, Line, Tuned

RATE = 0.64  # where the search begins
DECAYS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
SEGMENTS = (5, 10, 20, 40, 80, 160)

LEAST = 2000  # predictions of a trial; fewer tell nothing
MOST = 100_000  # predictions that any pass of the search looks at
TRIALS = 12  # that are to fit into the time for them

_log = logging.getLogger("keras_rnnlm")


def search(
    sources: Sources,
    text: EncodedText,
    seconds: float = 600.0,
    passes: int = 0,
    progress: Progress | None = None,
    least_speed: float = 0.0,
) -> Tuned:
    """Search the settings of a model's ladder.

    Args:
        sources: The model; a scale adds the scaled form of dynamic evaluation, an
            n-gram model and members their lines.
        text: Validation text.
        seconds: About how long the search may take. What cannot be stopped in its
            middle (a compilation, the n-gram model) may overrun it.
        passes: Of Monte Carlo dropout; 0 for none.
        progress: Called with what is computed, and the numbers of predictions done and
            of all.
        least_speed: Predictions a second that dynamic evaluation has to make: segments
            too short for that are not tried, unless all are. All passes of dropout
            have to be twice as quick: there are fewer of them if need be.

    Raises:
        InputError: If the text has nothing to predict, or an id that is not in the
            vocabulary; for passes of a network without dropout.
    """
    return Search(sources, text, seconds, passes, progress, least_speed).run()


class Search:
    """The state of one search: its text, its clock and what it has tried.

    Of the model's network, which others may be mixed with. `EnsembleSearch` searches
    for several networks as one.
    """

    def __init__(
        self,
        sources: Sources,
        text: EncodedText,
        seconds: float,
        passes: int,
        progress: Progress | None,
        least_speed: float,
    ) -> None:
        """Take the arguments of `search`."""
        self._sources, self._text, self._passes = sources, text, passes
        self._progress, self._least_speed = progress, least_speed
        self._begun = time.monotonic()
        self._seconds = seconds
        starts, stops = segments(text, Protocol("carry"))
        self._total = min(int((stops - starts).sum()), MOST)
        if not self._total:
            raise InputError(
                "Expected a validation text with at least one token to predict, "
                "received none. Give a longer text."
            )
        check_ids(sources.network.vocabulary_size, text.ids)
        if passes:
            dropout_seeds(sources.network)
        self._caches = cache_grid(sources.network, text, self._total)
        self._trials: list[dict[str, Any]] = []
        self._static_speed = 0.0  # predictions a second, as all speeds
        self._speeds: dict[tuple[int, bool], float] = {}

    def run(self) -> Tuned:
        """Search; see the module."""
        self._total = self._within(0.2 * self._seconds)
        static = self._whole(None, self._total)
        plain = self._of_all(plain_line(static, self._total))
        found = self._dynamic(static)
        line, scores = found or (plain, static)
        passes = self._affordable_passes()
        scores = scores.first(self._mixable(line, scores.nats.shape[1], passes))
        most = scores.nats.shape[1]
        mixtures = MixtureSearch(
            self._sources,
            self._text,
            line,
            self._experts(line, scores),
            scores.caches,
            passes,
            self._progress,
        )
        mixtures.run(self._caches)
        ladder = [plain, *mixtures.lines] if found else mixtures.lines
        # Over the predictions that all lines were compared on.
        losses = {
            "static": float(static.nats[GRID.index(1.0), :most].mean()),
            plain.name: -float(logs_of(static, plain, most).mean()),
            line.name: -float(logs_of(scores, line, most).mean()),
            **mixtures.losses,
        }
        return Tuned(
            tuple(ladder),
            weights_hash(self._sources.network),
            {
                "text_sha256": self._text.sha256,
                "predictions": self._total,
                "static_speed": self._static_speed,
                "predictions_compared": most,
                "dropout_passes": passes,
                "seconds": round(time.monotonic() - self._begun, 1),
                "losses": losses,
                "trials": self._trials,
            },
            self._sources.scale if line.dynamic and line.dynamic.scaled else None,
            self._sources.ngram if any(NGRAM in x.weights for x in ladder) else None,
        )

    # -- what is searched for -------------------------------------------------------

    @property
    def _networks(self) -> int:
        """How many networks a line without other experts is of."""
        return 1

    def _of_all(self, line: Line) -> Line:
        """Return a line with the weights of those networks."""
        return line

    def _whole(self, dynamic: DynamicSettings | None, most: int) -> PassScores:
        """Return a pass of those networks, at all temperatures and with all caches."""
        return self._pass(dynamic, GRID, most, self._caches)

    def _experts(self, line: Line, scores: PassScores) -> dict[str, Floats]:
        """Return each of those networks' part in a pass of them, by its name."""
        return {MODEL: logs_of(scores, line, scores.nats.shape[1])}

    # -- passes ---------------------------------------------------------------------

    def _pass(
        self,
        dynamic: DynamicSettings | None,
        temperatures: Sequence[float],
        most: int,
        caches: Sequence[CacheSettings] = (),
    ) -> PassScores:
        """Return a pass of the model's own network."""
        first = self._sources.network, self._sources.scale
        return self._read(*first, dynamic, temperatures, most, caches)

    def _read(
        self,
        network: keras.Model,
        scale: GradientScale | None,
        dynamic: DynamicSettings | None,
        temperatures: Sequence[float],
        most: int,
        caches: Sequence[CacheSettings] = (),
    ) -> PassScores:
        reader: Reader = StaticReader(network, temperatures)
        if dynamic is not None:
            reader = DynamicReader(network, dynamic, scale, temperatures)
        what = "evaluating" if dynamic is None else "learning"

        def told(done: int, total: int) -> None:
            if self._progress is not None:
                self._progress(what, done, total)

        return run_pass(reader, network, self._text, caches, told, most)

    def _within(self, seconds: float) -> int:
        """Return how many predictions a whole pass may look at."""
        sample = min(self._total, 2 * BLOCK)
        self._pass(None, GRID, sample, self._caches)  # to compile
        begun = time.monotonic()
        self._pass(None, GRID, sample, self._caches)
        self._static_speed = sample / (time.monotonic() - begun)
        speed = self._static_speed / self._networks
        return int(min(max(speed * seconds, LEAST), self._total))

    # -- dynamic evaluation ---------------------------------------------------------

    def _dynamic(self, static: PassScores) -> tuple[Line, PassScores] | None:
        """Search dynamic evaluation; return its line and a pass with it.

        None if it does not help, or not where it was not searched: what learns best
        from a short text may learn too fast for a longer one, so the best settings are
        tried at a quarter of their rate before all is given up.

        Args:
            static: The pass without it.
        """
        best = self._best_dynamic()
        if best is None:
            return None
        for settings in (best, dataclasses.replace(best, rate=best.rate / 4)):
            most = self._affordable(settings)
            try:
                scores = self._whole(settings, most)
            except DivergedError:
                continue
            cut = cut_of(most)
            gains = logs_of(scores, line_of(scores, cut, settings), most)
            gains -= logs_of(static, line_of(static, cut), most)
            if holds(gains[cut:]):
                return self._of_all(line_of(scores, most, settings)), scores
        _log.info("Dynamic evaluation did not hold on text it was not searched on.")
        return None

    def _best_dynamic(self) -> DynamicSettings | None:
        """Return the best settings of some trials; None if none of them helps."""
        scaled = self._sources.scale is not None
        until = time.monotonic() + 0.6 * self._left()
        usual = DynamicSettings(rate=RATE, scaled=scaled)
        first, speed = self._first_form(usual)
        forms = [first, dataclasses.replace(first, scaled=False)][: 1 + scaled]
        # After trials of one network comes a pass of all, half as long again.
        trials = max(TRIALS, 2.25 * self._networks)
        most = int(speed * (until - time.monotonic()) / trials)
        most = min(max(most, LEAST), cut_of(self._total))
        loss_of = Trials(self._loss_of_trial, until).loss
        static = self._pass(None, (1.0,), most).nats.mean()

        def gain(settings: DynamicSettings) -> float:
            return float(static - loss_of(settings, most))

        def gain_if_quick(settings: DynamicSettings) -> float:
            return gain(settings) if self._quick(settings, first) else -math.inf

        best = max((climb(rates(form), 6, gain, 2) for form in forms), key=gain)
        best = climb(rates(best), 6, gain)
        decays = [dataclasses.replace(best, decay=decay) for decay in DECAYS]
        best = climb(decays, 0, gain)
        lengths = [_with_segment(best, n) for n in SEGMENTS]
        best = climb(lengths, SEGMENTS.index(best.segment), gain_if_quick)
        best = climb(rates(best), 6, gain)
        if gain(best) < LEAST_GAIN:
            _log.info("Dynamic evaluation did not help on the validation text.")
            return None
        return best

    def _loss_of_trial(self, settings: DynamicSettings, most: int) -> float:
        """Return nats a token, infinite where the weights go astray."""
        begun = time.monotonic()
        try:
            loss = float(self._pass(settings, (1.0,), most).nats.mean())
        except DivergedError:
            loss = np.inf
        self._trials.append(
            {
                **dataclasses.asdict(settings),
                "predictions": most,
                "loss": loss if np.isfinite(loss) else None,
                "seconds": round(time.monotonic() - begun, 2),
            }
        )
        return loss

    def _first_form(self, form: DynamicSettings) -> tuple[DynamicSettings, float]:
        """Return a form with the first segment that is quick enough, and its speed."""
        for segment in SEGMENTS[SEGMENTS.index(form.segment) :]:
            form = _with_segment(form, segment)
            speed = self._speed(form)
            if speed >= self._least_speed * self._networks:
                break
        return form, speed

    def _quick(self, form: DynamicSettings, first: DynamicSettings) -> bool:
        """Whether a form is quick enough; a longer segment than the first is."""
        if form.segment >= first.segment or not self._least_speed:
            return True
        return self._speed(form) >= self._least_speed * self._networks

    def _speed(self, form: DynamicSettings) -> float:
        """Return how many predictions a second one network makes; measured once."""
        key = form.segment, form.scaled
        if key not in self._speeds:
            still = dataclasses.replace(form, rate=0.0)
            self._pass(still, (1.0,), min(self._total, 2 * form.segment))  # to compile
            sample = min(self._total, 1000)
            begun = time.monotonic()
            self._pass(still, (1.0,), sample)
            self._speeds[key] = sample / (time.monotonic() - begun)
        return self._speeds[key]

    def _affordable(self, dynamic: DynamicSettings) -> int:
        """Return how many predictions the last pass may look at in the time left."""
        speeds = [
            trial["predictions"] / max(trial["seconds"], 1e-3)
            for trial in self._trials
            if trial["segment"] == dynamic.segment
        ]
        most = int(0.5 * min(speeds) * self._left() / self._networks)
        used = max(int(trial["predictions"]) for trial in self._trials)
        return min(max(most, math.ceil(used / (1 - HELD_OUT))), self._total)

    def _affordable_passes(self) -> int:
        """Return how many passes of dropout the text that is reported has time for."""
        if not self._least_speed:
            return self._passes
        most = int(0.5 * self._static_speed / self._least_speed)
        if most < self._passes:
            _log.info("There is time for %d passes of dropout.", most)
        return min(most, self._passes)

    def _mixable(self, line: Line, most: int, passes: int) -> int:
        """Return how many of `most` predictions other experts can be asked for.

        Args:
            line: The network's own, as which members read as well.
            most: Predictions that the network has made.
            passes: Of dropout.
        """
        each = passes / self._static_speed
        unread = 1 + len(self._sources.members) - self._networks
        if unread:
            speed = self._static_speed
            if line.dynamic is not None:
                speed = self._speed(line.dynamic)
            each += unread / speed
        if not each:
            return most
        return min(most, max(LEAST, int(self._left() / each)))

    def _left(self) -> float:
        return max(self._seconds - (time.monotonic() - self._begun), 0.0)


def _with_segment(form: DynamicSettings, segment: int) -> DynamicSettings:
    """As much is learnt from a token whatever the length of its segment."""
    rate = form.rate * segment / form.segment
    return dataclasses.replace(form, segment=segment, rate=rate)
