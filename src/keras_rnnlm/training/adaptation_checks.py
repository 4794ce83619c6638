"""What a model cannot be adapted with, refused before anything is written."""

from typing import TYPE_CHECKING

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.models.networks import kind_of
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.training.adaptation import Adaptation
from keras_rnnlm.training.batches import check_resegmentation

if TYPE_CHECKING:
    from keras_rnnlm.training.adapt import Base


def check_adaptation(
    base: "Base",
    corpus: Corpus,
    settings: Settings,
    adaptation: Adaptation,
    old: EncodedText | None,
    old_valid: EncodedText | None,
) -> None:
    """Refuse what cannot go together.

    Args:
        base: The model to adapt.
        corpus: The new text.
        settings: Of the run.
        adaptation: What is kept and what learns how fast.
        old: Text to replay, or None.
        old_valid: Text to see on what is forgotten, or None.

    Raises:
        ConfigError: Settings that contradict each other, the model or the text.
        InputError: A text of another tokenizer, or without anything to predict.
    """
    known = base.tokenizer.tokens
    if corpus.tokenizer.tokens[: len(known)] != known:
        raise InputError(
            "Expected a text encoded by the tokenizer of the model to adapt, received "
            "one with another vocabulary. Give Corpus the model's own tokenizer."
        )
    if old_valid is not None and not old_valid.counts.tokens_predicted:
        raise InputError(
            "Expected an old validation text with at least one token to predict, "
            f"received none in {', '.join(old_valid.names[:3])}. Give a longer text."
        )
    if adaptation.replay and old is None:
        raise ConfigError(
            f"replay={adaptation.replay:g} reads on in the text that the model was "
            "trained on; received none. Give it (--old TEXT), or leave replay out."
        )
    if adaptation.replay and settings.mode == "sentence":
        raise ConfigError(
            "replay joins lanes of two streams; received mode=sentence. Set "
            "mode=stream, or leave replay out."
        )
    if adaptation.replay and settings.steps_deviation:
        raise ConfigError(
            "replay joins windows of one length; received steps_deviation="
            f"{settings.steps_deviation}. Leave one of them out."
        )
    if adaptation.replay and settings.batch_size < 2:
        raise ConfigError(
            "replay shares the lanes between two texts; received batch_size=1. Set "
            "batch_size=2 or more."
        )
    if adaptation.low_rank and not isinstance(base.network, RNNLM):
        raise ConfigError(
            "low_rank is of recurrent layers; received a model of kind "
            f"{kind_of(base.network)}. Leave it out."
        )
    if settings.vectors is not None:
        raise ConfigError(
            "Setting 'vectors' is what a network begins with; received "
            f"vectors={settings.vectors} for a model that has its own. Leave it out."
        )
    if settings.finetune:
        raise ConfigError(
            "Setting 'finetune' is a second phase of training from nothing; received "
            f"finetune={settings.finetune:g} for an adaptation. Leave it out."
        )
    check_resegmentation(settings, corpus.tokenizer)
