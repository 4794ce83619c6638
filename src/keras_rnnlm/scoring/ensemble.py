"""Ensembles: several models of the same tokens, whose probabilities are averaged."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import keras

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.tuned import MODEL, Line, Tuned


@dataclass(frozen=True, eq=False)
class Member:
    """Another model of an ensemble.

    Attributes:
        network: Its network, an `RNNLM` in float32.
        tuned: The settings that were searched for it, or None.
        seconds: Wall-clock time in which its folder was read; 0 for a model without.
        scale: Of its gradients, for one that learns by the settings of all; else that
            of its own settings.
    """

    network: keras.Model
    tuned: Tuned | None = None
    seconds: float = 0.0
    scale: GradientScale | None = None

    @cached_property
    def name(self) -> str:
        """What the member is called as an expert: its weights decide."""
        return f"member:{weights_hash(self.network)[:12]}"

    @property
    def gradient_scale(self) -> GradientScale | None:
        """The scale of its gradients, if there is one."""
        if self.scale is not None or self.tuned is None:
            return self.scale
        return self.tuned.scale


def check_different(members: Sequence[Member]) -> None:
    """Refuse a model that is a member twice: experts are known by their weights.

    Raises:
        InputError: If two have the same weights.
    """
    names = [member.name for member in members]
    for number, name in enumerate(names, 1):
        if (first := names.index(name) + 1) < number:
            raise InputError(
                "Expected different models in an ensemble, received one of the same "
                f"weights twice (members {first} and {number}). Leave one of them out."
            )


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


def hash_of_all(networks: Sequence[keras.Model]) -> str:
    """Return the SHA-256 of the weights of networks, in their order."""
    hashes = [weights_hash(network) for network in networks]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def check_weights(tuned: Tuned, network: keras.Model) -> None:
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


def line_of_member(member: Member, line: Line) -> Line:
    """Return the line by which a member is read beside the model's `line`.

    Its own settings if it has any: the first line without, or with, dynamic evaluation,
    which is left out where its own search left it out.

    Raises:
        InputError: If it would have to learn scaled and has no scale of its own.
    """
    if member.tuned is not None:
        own = [
            candidate
            for candidate in member.tuned.lines
            if (candidate.dynamic is not None) == (line.dynamic is not None)
        ]
        return own[0] if own else member.tuned.lines[0]
    if line.dynamic is not None and line.dynamic.scaled and member.scale is None:
        raise without_scale(member)
    return replace(line, weights={MODEL: 1.0})


def without_scale(member: Member) -> InputError:
    """Return the error of a member that cannot learn in the scaled form."""
    return InputError(
        f"Expected settings of its own for the ensemble's {member.name}, which is "
        "to learn in the scaled form, received none. Run `rnnlm tune-evaluation` "
        "on its folder too, with --train."
    )
