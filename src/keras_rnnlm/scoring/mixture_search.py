"""The search for the lines of a ladder that mix other experts with the network."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.experts import Floats, fit_weights, mix
from keras_rnnlm.scoring.gate import fit_gate
from keras_rnnlm.scoring.held_out import cut_of, holds
from keras_rnnlm.scoring.system import Experts, Progress, Sources
from keras_rnnlm.scoring.tuned import CACHE, DROPOUT, GATE, MEMBER, NGRAM, Line

LEAST_GATED = 1000  # predictions to fit a gate on

_log = logging.getLogger("keras_rnnlm")


class MixtureSearch:
    """Adds one expert after the other to a line; keeps those that hold.

    Attributes:
        lines: Found so far, each with one expert more; begins with the line given.
        losses: Nats a token of the lines found, by name.
    """

    def __init__(
        self,
        sources: Sources,
        text: EncodedText,
        line: Line,
        experts: Mapping[str, Floats],
        found: Floats,
        passes: int,
        progress: Progress | None,
    ) -> None:
        """Begin with the network alone, or with the networks of an ensemble.

        Args:
            sources: What lines draw on.
            text: Validation text.
            line: Theirs, without other experts.
            experts: Natural-log probabilities (predictions,) of each of them by name,
                as the line has it; the networks of an ensemble count alike.
            found: (caches, predictions), those of the caches beside the first of them.
            passes: Of Monte Carlo dropout; 0 for none.
            progress: Called as in `system.evaluate_lines`.
        """
        self._sources, self._text, self._progress = sources, text, progress
        self._passes = passes
        self._found = found
        self._experts = dict(experts)
        shares = [1 / len(experts)] * len(experts)
        self._alone = mix(list(experts.values()), shares)
        self._most = len(self._alone)
        self._cut = cut_of(self._most)
        self.lines = [line]
        self.losses: dict[str, float] = {}

    def run(self, caches: Sequence[CacheSettings]) -> None:
        """Try what there is.

        Args:
            caches: Those that were `found`, in their order.
        """
        others = self._others()
        if DROPOUT in others:
            self._add(DROPOUT, {DROPOUT: others[DROPOUT]}, passes=self._passes)
        members = {n: p for n, p in others.items() if n.startswith(MEMBER)}
        if members:
            self._add("ensemble", members)
        best = self._best_cache()
        self._add(CACHE, {CACHE: self._found[best]}, cache=caches[best])
        if NGRAM in others:
            self._add(NGRAM, {NGRAM: others[NGRAM]})
        if len(self.lines) > 1 and self._most >= LEAST_GATED:
            self._add_gate()

    def _add(self, name: str, found: dict[str, Floats], **settings: Any) -> None:
        """Mix experts in, if that holds."""
        both = {**self._experts, **found}
        if not holds(self._on_tail(both) - self._on_tail(self._experts)):
            _log.info("%s did not help on the validation text.", name)
            return
        self._experts = both
        weights = fit_weights(list(both.values())).tolist()
        shares = dict(zip(both, weights, strict=True))
        line = dataclasses.replace(
            self.lines[-1], name=name, weights=shares, **settings
        )
        self.lines.append(line)
        self.losses[name] = -float(mix(list(both.values()), weights).mean())

    def _on_tail(self, experts: dict[str, Floats]) -> Floats:
        """Return log-probabilities of the tail, with weights fitted before it."""
        weights = fit_weights([logs[: self._cut] for logs in experts.values()])
        return mix([logs[self._cut :] for logs in experts.values()], weights.tolist())

    def _add_gate(self) -> None:
        """Let the weights be predicted, if that holds."""
        line, arrays = self.lines[-1], list(self._experts.values())
        source = Experts(self._sources, self._text, [], most=self._most)
        features = source.features(line)
        fit = fit_gate(arrays, features)
        if not holds(fit.gains):
            _log.info("A gate did not help on the validation text.")
            return
        self.losses[GATE] = -float(fit.gate.mix(arrays, features).mean())
        gate = fit.gate.to_dict()
        self.lines.append(dataclasses.replace(line, name=GATE, gate=gate))

    def _best_cache(self) -> int:
        """Return the place of the cache that gains most beside the network."""
        losses = []
        for found in self._found:
            pair = [self._alone[: self._cut], found[: self._cut]]
            losses.append(-mix(pair, fit_weights(pair).tolist()).mean())
        return int(np.argmin(losses))

    def _others(self) -> dict[str, Floats]:
        """Return the experts that there is no pass of yet."""
        names = [m.name for m in self._sources.members if m.name not in self._experts]
        if self._sources.ngram is not None:
            names.append(NGRAM)
        if self._passes:
            names.append(DROPOUT)
        if not names:
            return {}
        share = {name: 1 / len(names) for name in names}
        wanted = dataclasses.replace(self.lines[0], weights=share, passes=self._passes)
        experts = Experts(
            self._sources, self._text, [wanted], self._progress, self._most
        )
        return experts.of(wanted)[0]
