"""The lines of a ladder on a text: each addition on a line of its own, with its cost.

What several lines need is computed once: a pass of the network as it stands serves all
temperatures and caches that are laid upon it, and so does a pass in which it learns.
The seconds of a line are those of all it consists of, as if it had been asked for
alone. What has to be made ready before a text is read is told apart from them, with the
line that is the first to need it.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.dropout import dropout_log_probabilities
from keras_rnnlm.scoring.dynamic import DynamicReader
from keras_rnnlm.scoring.ensemble import Member, line_of_member
from keras_rnnlm.scoring.experts import Floats, mix
from keras_rnnlm.scoring.gate import Gate
from keras_rnnlm.scoring.gate_features import network_features
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.passes import (
    PassScores,
    Reader,
    StaticReader,
    first_predictions,
    run_pass,
)
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.report import Totals, figures_of, finite
from keras_rnnlm.scoring.tuned import CACHE, DROPOUT, MEMBER, MODEL, NGRAM, Line

Progress = Callable[[str, int, int], None]

PROJECTIONS = 16  # directions of the hidden vector that a gate looks along


@dataclass(frozen=True, eq=False)
class Sources:
    """What lines draw on.

    Attributes:
        network: The model's network, an `RNNLM` in float32.
        scale: Of its gradients, for scaled dynamic evaluation.
        ngram: An n-gram model.
        members: The other models of an ensemble.
    """

    network: keras.Model
    scale: GradientScale | None = None
    ngram: NGramModel | None = None
    members: tuple[Member, ...] = ()

    def member(self, expert: str) -> Member:
        """Return the member that an expert's name stands for.

        Raises:
            InputError: If it is not among them.
        """
        for member in self.members:
            if member.name == expert:
                return member
        raise InputError(
            f"Expected the model {expert} that the weights of the ensemble name, "
            f"received {[m.name for m in self.members] or 'no other model'}. Give "
            "--ensemble the folders that the settings were searched with."
        )


@dataclass(frozen=True)
class LineReport:
    """The figures of a line on a text.

    Attributes:
        line: Its settings.
        figures: Those of `report.figures_of`.
        seconds: Wall-clock time of reading the text with all it consists of,
            compilation included.
        preparation_seconds: Wall-clock time of making ready what it adds to the lines
            above it: counting or reading an n-gram model, measuring or reading a scale
            of gradients, copying weights that will learn, loading a member. No part
            of `seconds`. It counts too where it was spent earlier in the process.
    """

    line: Line
    figures: dict[str, Any]
    seconds: float
    preparation_seconds: float = 0.0

    @property
    def perplexity(self) -> float:
        """Exp(nats / predictions)."""
        return float(self.figures["perplexity"])

    def to_dict(self) -> dict[str, Any]:
        """Return the line for JSON.

        `name`, `protocol`, the figures, `seconds`, `preparation_seconds`, `settings`.
        """
        settings = self.line.to_dict()
        return {
            "name": settings.pop("name"),
            "protocol": "carry",
            **finite(self.figures),
            "seconds": self.seconds,
            "preparation_seconds": self.preparation_seconds,
            "settings": settings,
        }


def evaluate_lines(
    sources: Sources,
    text: EncodedText,
    lines: Sequence[Line],
    progress: Progress | None = None,
) -> list[LineReport]:
    """Report the figures of lines on a text, which is read as carried streams.

    Args:
        sources: What the lines draw on.
        text: The text.
        lines: The lines, in the order to report them in.
        progress: Called with what is computed, and the numbers of predictions done and
            of all.

    Raises:
        InputError: If a line needs what is not among the sources, or the text has
            nothing to predict.
    """
    experts = Experts(sources, text, lines, progress)
    starts, stops = segments(text, Protocol("carry"))
    reports = []
    ready: set[Any] = set()
    for line in lines:
        found, seconds = experts.of(line)
        begun = time.perf_counter()
        names = list(line.weights)
        arrays = [found[name] for name in names]
        if line.gate is None:
            mixed = mix(arrays, [line.weights[name] for name in names])
        else:
            mixed = Gate.from_dict(dict(line.gate)).mix(arrays, experts.features(line))
        totals = Totals.of(-mixed, text, starts, stops)
        seconds += time.perf_counter() - begun
        needed = experts.preparations(line)
        added = sum((needed[key] for key in needed if key not in ready), 0.0)
        ready.update(needed)
        reports.append(LineReport(line, figures_of(totals, text), seconds, added))
    return reports


@dataclass(eq=False)
class _Wanted:
    """What is asked of the pass of one network, learning or not."""

    temperatures: set[float]
    caches: set[CacheSettings]
    scores: PassScores | None = None
    preparation: float = 0.0  # seconds in which it was made able to learn


class Experts:
    """The experts of some lines on a text, each computed once."""

    def __init__(
        self,
        sources: Sources,
        text: EncodedText,
        lines: Sequence[Line],
        progress: Progress | None = None,
        most: int | None = None,
    ) -> None:
        """Note what will be needed.

        Args:
            sources: What the lines draw on.
            text: The text.
            lines: All lines that `of` will be asked for.
            progress: See `evaluate_lines`.
            most: Look at this many predictions only, from the first on.
        """
        self._sources, self._text = sources, text
        self._progress, self._most = progress, most
        self._passes: dict[tuple[str, DynamicSettings | None], _Wanted] = {}
        self._others: dict[Any, tuple[Floats, float]] = {}
        self._features: dict[str, Floats] = {}
        for line in lines:
            if MODEL in line.weights or CACHE in line.weights:
                wanted = self._wanted(MODEL, line.dynamic)
                wanted.temperatures.add(line.temperature)
                if line.cache is not None:
                    wanted.caches.add(line.cache)
            for name in line.weights:
                if name.startswith(MEMBER):
                    settings = line_of_member(sources.member(name), line)
                    self._wanted(name, settings.dynamic).temperatures.add(
                        settings.temperature
                    )

    def of(self, line: Line) -> tuple[dict[str, Floats], float]:
        """Return the experts of a line by name, and the seconds they cost."""
        found: dict[str, Floats] = {}
        costs: dict[Any, float] = {}
        for name in line.weights:
            if name == NGRAM:
                found[name], costs[name] = self._ngram()
            elif name == DROPOUT:
                found[name], costs[name] = self._dropout(line)
            elif name == CACHE:
                self._add_cache(line, found, costs)
            elif name == MODEL:
                self._add_model(MODEL, line, found, costs)
            else:
                member = line_of_member(self._sources.member(name), line)
                self._add_model(name, member, found, costs)
        return found, sum(costs.values())

    def preparations(self, line: Line) -> dict[Any, float]:
        """Return the seconds of what had to be made ready for a line, thing by thing.

        Args:
            line: One that `of` has been asked for. What it shares with another line has
                the same key there.
        """
        found: dict[Any, float] = {}
        for name in line.weights:
            if name == NGRAM and self._sources.ngram is not None:
                found[NGRAM] = self._sources.ngram.seconds
            elif name in (MODEL, CACHE):
                found |= self._of_learning(MODEL, line.dynamic)
            elif name.startswith(MEMBER):
                member = self._sources.member(name)
                found[name] = member.seconds
                found |= self._of_learning(name, line_of_member(member, line).dynamic)
        return found

    def features(self, line: Line) -> Floats:
        """Return what a gate of the line looks at, (predictions, features).

        The network's own without learning, and those of the n-gram model if the line
        has one.
        """
        if "features" not in self._features:
            starts, stops = segments(self._text, Protocol("carry"))
            if self._most is not None:
                starts, stops = first_predictions(starts, stops, self._most)
            text = dataclasses.replace(self._text, starts=starts, stops=stops)
            self._features["features"] = network_features(
                self._sources.network, text, PROJECTIONS
            )
        found = self._features["features"]
        if NGRAM in line.weights and self._sources.ngram is not None:
            if NGRAM not in self._features:
                known = self._sources.ngram.context_features(self._text)
                self._features[NGRAM] = known[: self._most]
            found = np.concatenate([found, self._features[NGRAM]], axis=1)
        return found

    def _wanted(self, who: str, dynamic: DynamicSettings | None) -> _Wanted:
        return self._passes.setdefault((who, dynamic), _Wanted(set(), set()))

    def _add_model(
        self, who: str, line: Line, found: dict[str, Floats], costs: dict[Any, float]
    ) -> None:
        wanted, scores = self._scored(who, line.dynamic)
        place = sorted(wanted.temperatures).index(line.temperature)
        found[who], costs[who] = -scores.nats[place], scores.seconds

    def _add_cache(
        self, line: Line, found: dict[str, Floats], costs: dict[Any, float]
    ) -> None:
        if line.cache is None:
            raise InputError(
                "Expected the settings of the cache that a line gives a weight, "
                "received none. Run `rnnlm tune-evaluation` again."
            )
        wanted, scores = self._scored(MODEL, line.dynamic)
        place = _in_order(wanted.caches).index(line.cache)
        found[CACHE] = scores.caches[place]
        costs[MODEL] = scores.seconds
        costs[CACHE] = scores.cache_seconds / len(wanted.caches)

    def _scored(
        self, who: str, dynamic: DynamicSettings | None
    ) -> tuple[_Wanted, PassScores]:
        """Return a pass, which is made at its first use."""
        wanted = self._wanted(who, dynamic)
        if wanted.scores is None:
            network, scale = self._network(who)
            temperatures = sorted(wanted.temperatures)
            reader: Reader = StaticReader(network, temperatures)
            if dynamic is not None:
                begun = time.perf_counter()
                reader = DynamicReader(network, dynamic, scale, temperatures)
                wanted.preparation = time.perf_counter() - begun
            wanted.scores = run_pass(
                reader,
                network,
                self._text,
                _in_order(wanted.caches),
                self._told("evaluating" if dynamic is None else "learning"),
                self._most,
            )
        return wanted, wanted.scores

    def _network(self, who: str) -> tuple[keras.Model, GradientScale | None]:
        """Return the network of an expert and the scale of its gradients."""
        if who == MODEL:
            return self._sources.network, self._sources.scale
        member = self._sources.member(who)
        return member.network, member.gradient_scale

    def _of_learning(
        self, who: str, dynamic: DynamicSettings | None
    ) -> dict[Any, float]:
        """Return the seconds of what a network needs to learn, nothing without that."""
        if dynamic is None:
            return {}
        found: dict[Any, float] = {}
        found[who, dynamic] = self._wanted(who, dynamic).preparation
        _, scale = self._network(who)
        if dynamic.scaled and scale is not None:
            found[who, "scale"] = scale.seconds
        return found

    def _ngram(self) -> tuple[Floats, float]:
        if NGRAM not in self._others:
            ngram = self._sources.ngram
            if ngram is None:
                raise InputError(
                    "Expected an n-gram model for a line that mixes one in, received "
                    "none. Give --ngram."
                )
            begun = time.perf_counter()
            found = ngram.log_probabilities(self._text)[: self._most]
            self._others[NGRAM] = found, time.perf_counter() - begun
        return self._others[NGRAM]

    def _dropout(self, line: Line) -> tuple[Floats, float]:
        key = DROPOUT, line.passes, line.temperature
        if key not in self._others:
            begun = time.perf_counter()
            found = dropout_log_probabilities(
                self._sources.network,
                self._text,
                line.passes,
                temperature=line.temperature,
                progress=self._told("thinning"),
                most=self._most,
            )
            self._others[key] = found, time.perf_counter() - begun
        return self._others[key]

    def _told(self, what: str) -> Callable[[int, int], None] | None:
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(what, done, total)


def _in_order(caches: set[CacheSettings]) -> list[CacheSettings]:
    return sorted(caches, key=lambda cache: (cache.window, cache.theta))
