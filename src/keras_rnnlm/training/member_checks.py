"""What several members cannot share, refused before anything is written."""

from pathlib import Path

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, ResumeError
from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
from keras_rnnlm.scoring.protocols import parse_protocol
from keras_rnnlm.training.run_folder import LOCK


def check_settings(settings: Settings, members: int) -> None:
    """Refuse what several members cannot be trained with.

    Args:
        settings: Of every member, but for the seed.
        members: How many.

    Raises:
        ConfigError: Another backend than JAX, or settings that they cannot share.
    """
    if members < 2:
        raise ConfigError(
            f"Expected an ensemble of 2 members or more, received {members}. Leave "
            "the number of members out for one model."
        )
    backend = keras.backend.backend()
    if backend != "jax":
        raise ConfigError(
            "Training the members of an ensemble together needs JAX, received the "
            f"Keras backend {backend}. Set KERAS_BACKEND=jax, or train them one after "
            "another, each with its --seed, and join them with `rnnlm evaluate "
            "--ensemble`."
        )
    if keras.distribution.distribution() is not None:
        raise ConfigError(
            "Training the members of an ensemble together is for one device, received "
            "a keras.distribution. Take it away, or train the members one by one."
        )
    if settings.mode == "sentence":
        raise ConfigError(
            "The members of an ensemble take each step together, with batches of one "
            "shape; mode = sentence gives each its own lengths. Set mode=stream, or "
            "train the members one after another."
        )
    if settings.protocol is not None:
        parse_protocol(settings.protocol)


def check_folder(folder: Path, members: int) -> None:
    """Refuse to go on with another run than one of as many members.

    Args:
        folder: Of the ensemble.
        members: How many.

    Raises:
        ResumeError: The folder is of one model, or of another number of members.
    """
    if not is_ensemble(folder):
        others = [path.name for path in folder.iterdir() if path.name != LOCK]
        if others:
            raise ResumeError(
                f"The run in '{folder}' is of one model; this command asks for "
                f"{members} members. Leave --members out, or choose another --out."
            )
        return
    found = len(member_folders(folder))
    if found != members:
        raise ResumeError(
            f"The run in '{folder}' has {found} members; this command asks for "
            f"{members}. Resume with --members {found}, or train anew with another "
            "--out."
        )
