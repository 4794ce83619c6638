"""Ensembles: several models of the same tokens, whose probabilities are averaged."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import keras

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.models.weights import weight_arrays

if TYPE_CHECKING:
    from keras_rnnlm.scoring.tuned import Tuned


@dataclass(frozen=True, eq=False)
class Member:
    """Another model of an ensemble.

    Attributes:
        network: Its network, an `RNNLM` in float32.
        tuned: The settings that were searched for it, or None.
    """

    network: keras.Model
    tuned: "Tuned | None" = None

    @cached_property
    def name(self) -> str:
        """What the member is called as an expert: its weights decide."""
        return f"member:{weights_hash(self.network)[:12]}"


def check_tokenizers(tokenizer: Tokenizer, other: Tokenizer, name: str) -> None:
    """Refuse a member whose tokens are others.

    Args:
        tokenizer: Of the model.
        other: Of the member.
        name: What to call the member.

    Raises:
        InputError: If the two tokenizers could encode a text differently.
    """
    if (
        tokenizer.settings() == other.settings()
        and tokenizer.to_json() == other.to_json()
    ):
        return
    raise InputError(
        "Expected the models of an ensemble to have the same tokenizer: probabilities "
        f"of different tokens cannot be averaged. That of '{name}' has "
        f"{other.vocabulary_size} tokens ({other.kind}), the model's "
        f"{tokenizer.vocabulary_size} ({tokenizer.kind})"
        + (
            ", and they are not the same ones."
            if other.vocabulary_size == tokenizer.vocabulary_size
            else "."
        )
        + " Train them on the same text with the same options and other seeds."
    )


def weights_hash(network: keras.Model) -> str:
    """Return the SHA-256 of a network's weights, by which settings know their model."""
    digest = hashlib.sha256()
    for name, array in sorted(weight_arrays(network).items()):
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_weights(tuned: "Tuned", network: keras.Model) -> None:
    """Refuse settings that were searched for other weights.

    Raises:
        InputError: If the network's weights have changed since.
    """
    if tuned.weights_hash != weights_hash(network):
        raise InputError(
            "Expected the settings for evaluation to be those of the model's weights, "
            "received settings that were searched for others. Run `rnnlm "
            "tune-evaluation` (`tune_evaluation` in Python) again, or set the model's "
            "`tuned` to None."
        )
