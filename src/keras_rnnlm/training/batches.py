"""The batches of a run, and what changes the text in them."""

from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.resegmentation import (
    Resegmentation,
    Sampler,
    bpe_dropout,
    unigram_sampling,
)
from keras_rnnlm.data.resegmented_batches import (
    resegmented_sentences,
    resegmented_stream,
)
from keras_rnnlm.data.streams import SentenceBatches, StreamBatches
from keras_rnnlm.data.text_words import find_words
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import ConfigError


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


def check_resegmentation(settings: Settings, tokenizer: Tokenizer) -> None:
    """Refuse to segment anew what another tokenizer has segmented.

    Raises:
        ConfigError: `bpe_dropout` or `unigram_alpha` with a tokenizer of another kind.
    """
    for name, kind, given in (
        ("bpe_dropout", "bpe", settings.bpe_dropout > 0),
        ("unigram_alpha", "unigram", settings.unigram_alpha is not None),
    ):
        if given and tokenizer.kind != kind:
            raise ConfigError(
                f"Setting '{name}' draws sub-words of tokenizer {kind} anew in each "
                f"epoch; received {name}={getattr(settings, name):g} with tokenizer "
                f"{tokenizer.kind}. Leave '{name}' out, or train a model with "
                f"--tokenizer {kind}."
            )


def make_resegmentation(
    settings: Settings, text: EncodedText, tokenizer: Tokenizer
) -> Resegmentation | None:
    """Return what segments a text anew in each epoch, or None.

    Raises:
        ConfigError: As `check_resegmentation`.
    """
    check_resegmentation(settings, tokenizer)
    if not isinstance(tokenizer, PieceTokenizer):
        return None
    sampler: Sampler
    if settings.bpe_dropout:
        sampler = bpe_dropout(tokenizer, settings.bpe_dropout)
    elif settings.unigram_alpha is not None:
        sampler = unigram_sampling(tokenizer, settings.unigram_alpha)
    else:
        return None
    return Resegmentation(find_words(text, tokenizer), sampler, settings.seed)


def make_batches(
    text: EncodedText,
    settings: Settings,
    noising: Noising | None,
    start: int = 0,
    resegmentation: Resegmentation | None = None,
) -> Any:
    """Return the endless batches of a run from its step `start` on.

    Args:
        text: What is trained on.
        settings: Of the run.
        noising: What replaces words; None for nothing.
        start: The step.
        resegmentation: Passes over the text, if it is segmented anew in each epoch.
    """
    if settings.mode == "sentence":
        lines: dict[str, Any] = {
            "seed": settings.seed,
            "start": start,
            "endless": True,
            "noising": noising,
        }
        if resegmentation is not None:
            return resegmented_sentences(resegmentation, settings.batch_size, **lines)
        return SentenceBatches(text, settings.batch_size, **lines)
    lanes: dict[str, Any] = {
        "seed": settings.seed,
        "start": start,
        "endless": True,
        "deviation": settings.steps_deviation,
        "rotate": settings.partial_shuffle,
        "reset": settings.state_reset,
        "noising": noising,
    }
    size, steps = settings.batch_size, settings.steps
    if resegmentation is not None:
        return resegmented_stream(resegmentation, size, steps, **lanes)
    return StreamBatches(text, size, steps, **lanes)
