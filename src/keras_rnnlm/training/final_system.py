"""The figures of the whole system at the end of a run: all that evaluation can add.

A plain forward pass is what a run reports first. With `system_minutes` it goes on:
what can be added at evaluation time is searched on the validation text
(`scoring.search`), kept in the model folder, and measured on the test text, line by
line. The test text has no part in the search.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, RNNLMError
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.scoring.additions import default_order
from keras_rnnlm.scoring.dynamic import DivergedError
from keras_rnnlm.scoring.gradient_scale import long_enough
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.system import LineReport
from keras_rnnlm.scoring.tuned import MEMBER, MODEL, Tuned
from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble

_SEARCH = 0.4  # share of the time for the search; the rest is for the test text
_LEARNING = 0.35  # share for dynamic evaluation of the test text, a part of that rest


@dataclass(frozen=True, eq=False)
class SystemFigures:
    """What was found and measured.

    Attributes:
        tuned: The settings, which belong into the folder of the model or ensemble.
        test: The lines on the test text, empty without one.
        seconds: Of all of it.
        search_seconds: Of the search on the validation text, n-gram model included.
    """

    tuned: Tuned
    test: list[LineReport]
    seconds: float
    search_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds as `system`.

        `valid` is nats a token line by line, on the part of the validation text that
        the search looked at (`predictions`); `test` the lines of `rnnlm evaluate
        --system`.
        """
        record = self.tuned.record
        return {
            "valid": dict(record["losses"]),
            "predictions": record["predictions_compared"],
            "test": [line.to_dict() for line in self.test],
            "search_seconds": round(self.search_seconds, 3),
            "seconds": round(self.seconds, 3),
        }


class FinalSystem:
    """Searches and measures what is added to a trained model, or to an ensemble.

    Raises:
        ConfigError: Without a validation text to search on.
    """

    def __init__(self, corpus: Corpus, settings: Settings) -> None:
        """Remember the texts and what is asked for."""
        if corpus.valid is None:
            raise ConfigError(
                "Setting 'system_minutes' searches what is added at evaluation on a "
                "validation text; there is none. Give --valid or --split, or set "
                "system_minutes=0."
            )
        self._corpus, self._valid = corpus, corpus.valid
        self._settings = settings
        self.seconds = 60.0 * settings.system_minutes

    def measure(
        self,
        model: LanguageModel | TunedEnsemble,
        check: Callable[..., None],
        note: Callable[[str], None],
    ) -> SystemFigures | None:
        """Search on the validation text, then read the test text once.

        Args:
            model: The trained model, or all members of an ensemble; its `tuned` is set.
            check: Called as it goes on; may raise to stop it.
            note: Told what a user should know.

        Returns:
            None where it failed: the run is not lost for that, and has its plain
            figures.
        """
        try:
            return self._measured(model, check, note)
        except (RNNLMError, MemoryError) as error:
            why = str(error) or "there was not enough memory."
            note(
                f"What can be added at evaluation was not searched: {why} The model "
                "has its plain figures; `rnnlm tune-evaluation` searches at any time."
            )
            return None

    def _measured(
        self,
        model: LanguageModel | TunedEnsemble,
        check: Callable[..., None],
        note: Callable[[str], None],
    ) -> SystemFigures:
        begun = time.monotonic()
        corpus = self._corpus
        ngram = self._ngram()
        counted = time.monotonic() - begun
        tokens = 0 if corpus.test is None else corpus.test.counts.tokens_predicted
        tuned = model.tune_evaluation(
            self._valid,
            corpus.train if long_enough(corpus.train) else None,
            seconds=max(_SEARCH * self.seconds - counted, 0.0),
            mc_dropout=self._settings.system_passes,
            ngram=ngram,
            progress=lambda what, done, total: check(),
            least_speed=tokens / (_LEARNING * self.seconds),
        )
        searched = time.monotonic() - begun
        wanted, passes = self._settings.system_passes, tuned.record["dropout_passes"]
        if passes < wanted:
            note(
                f"There is time for {passes} passes of dropout, of {wanted}: "
                f"system_minutes={self._settings.system_minutes:g} is short."
            )
        lines: list[LineReport] = []
        if corpus.test is not None:
            expected = tokens * _seconds_each(tuned)
            if searched + expected > 1.2 * self.seconds:
                note(
                    f"The test text will take about {expected / 60:.1f} minutes to "
                    f"read; system_minutes={self._settings.system_minutes:g} is short."
                )
            lines = _lines(model, corpus.test, check, note)
        return SystemFigures(tuned, lines, time.monotonic() - begun, searched)

    def _ngram(self) -> NGramModel | None:
        order = self._settings.system_ngram_order
        if order is None:
            order = default_order(self._corpus.tokenizer.kind)
        if order == 0:
            return None
        size = self._corpus.vocabulary_size
        return NGramModel.fit(self._corpus.train, size, order)


def _lines(
    model: LanguageModel | TunedEnsemble,
    test: EncodedText,
    check: Callable[..., None],
    note: Callable[[str], None],
) -> list[LineReport]:
    """Return the lines on the test text; where learning goes astray, the plain one.

    The run is not lost for that: its model is as good as it was.
    """

    def told(what: str, done: int, total: int) -> None:
        check()

    try:
        return model.evaluate_additions(test, static=True, system=True, progress=told)
    except DivergedError:
        note(
            "At the rate that was best on the validation text, dynamic evaluation went "
            "astray on the test text, which has the plain line alone. Try a lower rate "
            "with `rnnlm evaluate --dynamic --set dynamic.rate=...`."
        )
        return model.evaluate_additions(test, static=True, progress=told)


def _seconds_each(tuned: Tuned) -> float:
    """Return seconds a token of all passes that the found system needs."""
    system = tuned.system
    networks = sum(who == MODEL or who.startswith(MEMBER) for who in system.weights)
    seconds = (networks + system.passes) / float(tuned.record["static_speed"])
    if system.dynamic is not None:
        seconds += networks * max(
            float(trial["seconds"]) / float(trial["predictions"])
            for trial in tuned.record["trials"]
            if trial["segment"] == system.dynamic.segment
            and trial["scaled"] == system.dynamic.scaled
        )
    return seconds
