"""The batches of a run, and what replaces words in them."""

from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.streams import SentenceBatches, StreamBatches


def make_noising(settings: Settings, corpus: Corpus) -> Noising | None:
    """Return what replaces words in training, or None."""
    if settings.noising == "none":
        return None
    return Noising(
        settings.noising,
        settings.noising_rate,
        corpus.train.ids,
        corpus.vocabulary_size,
        settings.seed,
    )


def make_batches(
    text: EncodedText, settings: Settings, noising: Noising | None, start: int = 0
) -> Any:
    """Return the endless batches of a run from its step `start` on."""
    if settings.mode == "sentence":
        return SentenceBatches(
            text,
            settings.batch_size,
            seed=settings.seed,
            start=start,
            endless=True,
            noising=noising,
        )
    return StreamBatches(
        text,
        settings.batch_size,
        settings.steps,
        seed=settings.seed,
        start=start,
        endless=True,
        deviation=settings.steps_deviation,
        rotate=settings.partial_shuffle,
        reset=settings.state_reset,
        noising=noising,
    )
