"""The verbs of a model that go beyond a plain forward pass at evaluation time."""

import dataclasses
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError
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
    check_weights,
    weights_hash,
    without_scale,
)
from keras_rnnlm.scoring.gradient_scale import measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.search import search
from keras_rnnlm.scoring.system import (
    LineReport,
    Progress,
    Sources,
    evaluate_lines,
)
from keras_rnnlm.scoring.tuned import Line, Tuned
from keras_rnnlm.scoring.tuned_files import files_of, read_tuned


class TunedEvaluation(ABC):
    """A network and its tokenizer, with what was found out about evaluating them."""

    tokenizer: Tokenizer

    def __init__(self) -> None:
        """Begin without settings."""
        self._tuned: Tuned | None = None
        self._folder: Path | None = None  # where settings lie that were not read yet
        self._origin: Tuned | None = None  # settings of the model it was made of
        self._reading = 0.0  # seconds in which it was read from its folder

    @abstractmethod
    def _rnnlm(self, verb: str) -> CausalLM:
        """Return the network in float32; `verb` says what for, in an error."""

    @abstractmethod
    def _encoded(self, text: Any, encoding: str) -> EncodedText:
        """Return a text encoded, if it is not already."""

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
        ensemble: Sequence["TunedEvaluation"] = (),
        ngram: NGramModel | None = None,
        weights: Mapping[str, float] | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
    ) -> list[LineReport]:
        """Report what additions to a plain forward pass make of a text, line by line.

        Each line has one thing more than the line before, and says what reading the
        text took and what making that one thing ready did; `evaluate` gives the figure
        that they are to be set beside. All of them read every file as one stream, the
        protocol `carry`.

        Args:
            text: An encoded text, or paths, as in `evaluate`.
            static: Begin with a line without additions, under `carry`.
            system: All that `tune_evaluation` found. Beside it go `static`, `ensemble`
                and an `ngram` in place of the stored one, and nothing else.
            temperature: Of the softmax.
            dynamic: True for dynamic evaluation with the model's own settings.
            cache: True for a continuous cache with the model's own settings.
            mc_dropout: Passes with dropout whose probabilities are averaged.
            ensemble: Other models with the same tokenizer.
            ngram: An n-gram model over the same tokens.
            weights: Of `cache`, `ngram` and `mc_dropout` in the mixture.
            encoding: Of files given by path.
            progress: Called with what is computed, and the numbers of tokens done and
                of all.

        Raises:
            InputError: If the text cannot be read, the models of an ensemble have
                different tokenizers or one is there twice, or something is asked for
                that the model lacks; for `system` after an example.
            ConfigError: For settings out of their range, or beside `system`.

        Example:
            >>> for line in lm.evaluate_additions("test.txt", dynamic=True, cache=True):
            ...     print(line.line.name, line.perplexity, line.seconds)
        """
        single = Additions(
            temperature, dynamic, cache, mc_dropout, weights=weights or {}
        )
        sources, lines = self._ladder(single, static, system, ensemble, ngram)
        return evaluate_lines(sources, self._encoded(text, encoding), lines, progress)

    def check_additions(
        self,
        *,
        system: bool = False,
        ensemble: Sequence["TunedEvaluation"] = (),
        ngram: NGramModel | None = None,
        mc_dropout: int = 0,
        weights: Mapping[str, float] | None = None,
        **single: Any,
    ) -> None:
        """Raise what `evaluate_additions` would before it reads a text.

        Args are its own; `text`, `static`, `encoding` and `progress` do not matter.
        """
        asked = Additions(passes=mc_dropout, weights=weights or {}, **single)
        self._ladder(asked, False, system, ensemble, ngram)

    def _ladder(
        self,
        asked: Additions,
        static: bool,
        system: bool,
        ensemble: Sequence["TunedEvaluation"],
        ngram: NGramModel | None,
    ) -> tuple[Sources, list[Line]]:
        """Return the lines that are asked for, and what they draw on."""
        sources = self._sources(ensemble, ngram)
        tuned = self._settings()
        names = [member.name for member in sources.members]
        asked = dataclasses.replace(asked, members=names, ngram=ngram is not None)
        if system:
            if self._origin is not None:
                raise _of_other_weights()
            check_alone(asked)
            lines = system_lines(tuned)
            _check_members(sources, lines)
            if ngram is None and tuned is not None:
                sources = dataclasses.replace(sources, ngram=tuned.ngram)
        else:
            lines = make_lines(asked, tuned)
        if any(line.passes for line in lines):
            dropout_seeds(sources.network)
        if static:
            lines.insert(0, Line("static"))
        return sources, lines

    @property
    def tuned(self) -> Tuned | None:
        """What `tune_evaluation` found for this model, or None; `save` writes it.

        Raises:
            FolderError: If it lies in the model's folder and is damaged.
            InputError: If the weights have changed since.
        """
        tuned = self._read_tuned()
        if tuned is not None:
            check_weights(tuned, self._rnnlm("add to"))
        return tuned

    @tuned.setter
    def tuned(self, tuned: Tuned | None) -> None:
        self._tuned, self._folder, self._origin = tuned, None, None

    def tune_evaluation(
        self,
        valid: Any,
        train: Any | None = None,
        *,
        seconds: float = 600.0,
        mc_dropout: int = 0,
        ensemble: Sequence["TunedEvaluation"] = (),
        ngram: NGramModel | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
        least_speed: float = 0.0,
    ) -> Tuned:
        """Search the settings of `evaluate_additions` on validation text.

        They become `tuned`, and `save` writes them; an error leaves `tuned` as it was.

        Args:
            valid: Validation text, as in `evaluate`; not the text whose figures will
                be reported.
            train: The training text, for dynamic evaluation in its scaled form.
            seconds: About how long the search may take.
            mc_dropout: Passes with dropout to mix in; 0 for none.
            ensemble: Other models to mix in.
            ngram: An n-gram model to mix in, such as `NGramModel.fit(corpus.train,
                corpus.vocabulary_size, 5)`.
            encoding: Of files given by path.
            progress: As in `evaluate_additions`.
            least_speed: Tokens a second that dynamic evaluation has to read on this
                machine; a longer segment is quicker.

        Raises:
            InputError: If a text cannot be read or is too short, or the models of an
                ensemble have different tokenizers, or, with `train`, no settings of
                their own.
        """
        begun = time.monotonic()
        before = self._tuned, self._folder, self._origin
        self.tuned = None
        try:
            sources = self._sources(ensemble, ngram)
            if train is not None:
                for member in sources.members:
                    if member.tuned is None:
                        raise without_scale(member)
                text = self._encoded(train, encoding)
                told = None if progress is None else partial(progress, "measuring")
                scale = measure_scale(
                    sources.network, text, seconds=seconds / 8, progress=told
                )
                sources = dataclasses.replace(sources, scale=scale)
            seconds = max(seconds - (time.monotonic() - begun), 0.0)
            text = self._encoded(valid, encoding)
            tuned = search(sources, text, seconds, mc_dropout, progress, least_speed)
        except BaseException:  # a search that is broken off, too, takes nothing away
            self._tuned, self._folder, self._origin = before
            raise
        self.tuned = tuned
        return tuned

    def read_tuned_from(
        self, folder: str | os.PathLike[str], seconds: float = 0.0
    ) -> None:
        """Let `tuned` be what lies in a model folder, read when it is asked for.

        Args:
            folder: The folder.
            seconds: In which the model itself was read from it: what it takes to have
                it ready as a member of an ensemble.
        """
        # In full: by then the program may work in another folder.
        self._tuned, self._folder = None, Path(folder).absolute()
        self._reading = seconds

    def _tuned_files(self) -> dict[str, bytes | None]:
        """Return the settings as files of a model folder, if they are of these weights.

        Those of a model that lay there before, or of weights that have gone on
        changing, are worth nothing: they are to be removed (None).

        Raises:
            FolderError: If they lie in a model folder and are damaged.
        """
        tuned = self._read_tuned()
        if tuned is not None and tuned.weights_hash != weights_hash(
            self._rnnlm("save")
        ):
            tuned = None
        return files_of(tuned, self.tokenizer)

    def _read_tuned(self) -> Tuned | None:
        """Return the settings, whatever weights they are of."""
        if self._folder is not None:
            self._tuned, self._folder = read_tuned(self._folder, self.tokenizer), None
        return self._tuned

    def _sources(
        self, ensemble: Sequence["TunedEvaluation"], ngram: NGramModel | None
    ) -> Sources:
        """Return what additions draw on; refuse other tokenizers, and one twice."""
        for i, other in enumerate(ensemble, 1):
            check_tokenizers(self.tokenizer, other.tokenizer, f"member {i}")
        members = tuple(
            Member(other._rnnlm("join an ensemble"), other._settings(), other._reading)
            for other in ensemble
        )
        check_different(members)
        tuned = self._settings()
        scale = tuned.scale if tuned is not None else None
        return Sources(self._rnnlm("add to"), scale, ngram, members)

    def _settings(self) -> Tuned | None:
        """Return the settings that single additions take, or None.

        After an example they are those of the model before it. How it learns, what a
        cache remembers and the scale of gradients fit it still, since dynamic
        evaluation itself keeps them while weights change.
        """
        return self._origin or self.tuned


def _of_other_weights() -> InputError:
    return InputError(
        "Expected a model as its settings were searched for, received one after an "
        "example, whose weights are others: the whole system was fitted to those "
        "before. Leave the system or the example out, or call this model's "
        "`tune_evaluation`; single additions (`dynamic`, `cache` and so on) go with an "
        "example."
    )


def _check_members(sources: Sources, lines: Sequence[Line]) -> None:
    """Refuse models that a stored ladder gives no weight."""
    used = {expert for line in lines for expert in line.weights}
    for number, member in enumerate(sources.members, 1):
        if member.name not in used:
            raise InputError(
                "Expected the ensemble that the settings were searched with, received "
                f"a model that has no part in them (number {number} of --ensemble). "
                "Run `rnnlm tune-evaluation` with it, or leave it out."
            )
