"""Models of one structure as one: the verbs of an ensemble at evaluation time.

The models of an ensemble that `rnnlm train --members` wrote differ by their seeds
alone. Every line of their ladder has all of them: the mean of their probabilities as
they stand, at a temperature, while all go on learning; then with what else is mixed in.
"""

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_rnnlm.errors import FolderError, InputError
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.additions import (
    Additions,
    check_alone,
    make_lines,
    system_lines,
)
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.dropout import dropout_seeds
from keras_rnnlm.scoring.ensemble import (
    Member,
    check_different,
    check_tokenizers,
    hash_of_all,
)
from keras_rnnlm.scoring.ensemble_search import equal_weights, search_ensemble
from keras_rnnlm.scoring.gradient_scale import GradientScale, measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.system import LineReport, Progress, Sources, evaluate_lines
from keras_rnnlm.scoring.tuned import Line, Tuned
from keras_rnnlm.scoring.tuned_evaluation import TunedEvaluation
from keras_rnnlm.scoring.tuned_files import read_tuned


class TunedEnsemble:
    """Models that are evaluated together, with what was found out about that.

    What was searched for a model by itself has no part in it.

    Attributes:
        models: The models, in their order.
        tuned: What `tune_evaluation` found for all of them, or None.

    Raises:
        InputError: No models, or models of different tokenizers, or one of them twice.

    Example:
        >>> ensemble = TunedEnsemble([load(f"quartet/member-{i}") for i in (1, 2, 3)])
        >>> ensemble.read_tuned_from("quartet")
        >>> ensemble.evaluate_additions("test.txt", system=True)[-1].perplexity
        61.2
    """

    def __init__(self, models: Sequence[TunedEvaluation]) -> None:
        """Take the models."""
        if not models:
            raise InputError("Expected the models of an ensemble, received none.")
        self.models = tuple(models)
        first, *others = self.models
        for number, other in enumerate(others, 2):
            check_tokenizers(first.tokenizer, other.tokenizer, f"member {number}")
        check_different([Member(network) for network in self._networks()])
        self.tuned: Tuned | None = None

    def read_tuned_from(self, folder: str | os.PathLike[str]) -> None:
        """Let `tuned` be what lies in the folder of an ensemble; None if nothing does.

        Raises:
            FolderError: It is damaged, or of another number of models.
            InputError: It is of other weights.
        """
        tuned = read_tuned(Path(folder), self.models[0].tokenizer)
        if tuned is not None:
            self._check(tuned, folder)
        self.tuned = tuned

    def tune_evaluation(
        self,
        valid: Any,
        train: Any | None = None,
        *,
        seconds: float = 600.0,
        mc_dropout: int = 0,
        ngram: NGramModel | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
        least_speed: float = 0.0,
    ) -> Tuned:
        """Search the settings of the ensemble's ladder; they become `tuned`.

        Args:
            valid: Validation text, as of `TunedEvaluation.tune_evaluation`.
            train: The training text, for dynamic evaluation in its scaled form: the
                scale of every model's gradients is measured on it.
            seconds: About how long the search may take, of all models together.
            mc_dropout: Passes with dropout to mix in, by the first model; 0 for none.
            ngram: An n-gram model to mix in.
            encoding: Of files given by path.
            progress: Called with what is computed, and the numbers of tokens done and
                of all.
            least_speed: Tokens a second that all models together have to read, each of
                them every token.

        Raises:
            InputError: If a text cannot be read or is too short.
        """
        begun = time.monotonic()
        first = self.models[0]
        scales: list[GradientScale] = []
        if train is not None:
            text = first._encoded(train, encoding)
            told = None if progress is None else partial(progress, "measuring")
            each = seconds / 8 / len(self.models)
            scales = [
                measure_scale(network, text, seconds=each, progress=told)
                for network in self._networks()
            ]
        text = first._encoded(valid, encoding)
        sources = self._sources(scales, ngram)
        seconds = max(seconds - (time.monotonic() - begun), 0.0)
        self.tuned = search_ensemble(
            sources, text, seconds, mc_dropout, progress, least_speed
        )
        return self.tuned

    def evaluate_additions(
        self,
        text: Any,
        *,
        static: bool = False,
        system: bool = False,
        temperature: float | None = None,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        mc_dropout: int = 0,
        ngram: NGramModel | None = None,
        weights: Mapping[str, float] | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
    ) -> list[LineReport]:
        """Report the lines of the ladder on a text, each of all models.

        Args:
            text: An encoded text, or paths, as of `TunedEvaluation`.
            static: Begin with the mean of the models' probabilities as they stand.
            system: All that `tune_evaluation` found. Beside it go `static` and an
                `ngram` in place of the stored one, and nothing else.
            temperature: Of every model's softmax.
            dynamic: True for dynamic evaluation of all models with what was found.
            cache: True for a continuous cache with what was found.
            mc_dropout: Passes with dropout, by the first model.
            ngram: An n-gram model over the same tokens.
            weights: Of `cache`, `ngram` and `mc_dropout` in the mixture.
            encoding: Of files given by path.
            progress: As of `tune_evaluation`.

        Raises:
            InputError: If the text cannot be read, or for `system` nothing was searched
                or weights have changed since.
            ConfigError: For settings out of their range, or beside `system`.
        """
        single = Additions(
            temperature, dynamic, cache, mc_dropout, weights=weights or {}
        )
        sources, lines = self._ladder(single, static, system, ngram)
        encoded = self.models[0]._encoded(text, encoding)
        return evaluate_lines(sources, encoded, lines, progress)

    def check_additions(
        self,
        *,
        system: bool = False,
        ngram: NGramModel | None = None,
        mc_dropout: int = 0,
        weights: Mapping[str, float] | None = None,
        **single: Any,
    ) -> None:
        """Raise what `evaluate_additions` would before it reads a text.

        Args are its own; `text`, `static`, `encoding` and `progress` do not matter.
        """
        asked = Additions(passes=mc_dropout, weights=weights or {}, **single)
        self._ladder(asked, False, system, ngram)

    def _ladder(
        self,
        asked: Additions,
        static: bool,
        system: bool,
        ngram: NGramModel | None,
    ) -> tuple[Sources, list[Line]]:
        """Return the lines that are asked for, and what they draw on."""
        asked = dataclasses.replace(asked, ngram=ngram is not None)
        tuned = self.tuned
        scales: list[GradientScale] = []
        if tuned is not None:
            self._check_weights(tuned)
            if tuned.scale is not None:
                scales = [tuned.scale, *tuned.member_scales]
        sources = self._sources(scales, ngram)
        lines: list[Line]
        if system:
            check_alone(asked)
            lines = system_lines(tuned)
            if ngram is None and tuned is not None:
                sources = dataclasses.replace(sources, ngram=tuned.ngram)
        else:
            networks = list(equal_weights(sources))
            lines = make_lines(asked, tuned, networks)
        if any(line.passes for line in lines):
            dropout_seeds(sources.network)
        if static:
            lines.insert(0, Line("static", weights=equal_weights(sources)))
        return sources, lines

    def _sources(
        self, scales: Sequence[GradientScale], ngram: NGramModel | None
    ) -> Sources:
        """Return what lines draw on.

        Args:
            scales: Of the gradients of every model, or none.
            ngram: An n-gram model.
        """
        networks = self._networks()
        own: list[GradientScale | None] = [None] * len(networks)
        if scales:
            own = list(scales)
        members = tuple(
            Member(network, seconds=model._reading, scale=scale)
            for network, model, scale in zip(networks, self.models, own, strict=True)
        )
        return Sources(networks[0], own[0], ngram, members[1:])

    def _networks(self) -> list[CausalLM]:
        return [model._rnnlm("join an ensemble") for model in self.models]

    def _check(self, tuned: Tuned, folder: str | os.PathLike[str]) -> None:
        """Refuse settings that are not of these models."""
        self._check_weights(tuned)
        scales = 1 + len(tuned.member_scales)
        if tuned.scale is not None and scales != len(self.models):
            raise FolderError(
                f"The settings in '{folder}' have the scales of gradients of {scales} "
                f"models, expected {len(self.models)}. Run `rnnlm tune-evaluation` on "
                "the folder again."
            )

    def _check_weights(self, tuned: Tuned) -> None:
        if tuned.weights_hash != hash_of_all(self._networks()):
            raise InputError(
                "Expected the settings for evaluation to be those of these models, in "
                "their order, received settings that were searched for others. Run "
                "`rnnlm tune-evaluation` on the ensemble's folder again."
            )
