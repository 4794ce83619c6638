"""What a run is a run of: data and settings, and the machine it ran on."""

import hashlib
import json
import platform
from importlib import import_module
from typing import Any

import keras

from keras_rnnlm import __version__
from keras_rnnlm.backend import device_name
from keras_rnnlm.code_hash import code_hash
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import ResumeError
from keras_rnnlm.layers.kernels import dispatch
from keras_rnnlm.machine import machine
from keras_rnnlm.setting_values import alike

VECTORS = "vectors_sha256"
"""Of the file of word vectors, for runs that are told apart by it: those of a
comparison. A run by itself does without, since its file may be gone when it goes on."""
_OF_MACHINE = ("processor_model", "instructions", "caches", "memory")
"""What `environment` takes over from `machine` as it stands."""


def run_identity(
    corpus: Corpus, settings: Settings, schedule: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what a resumed run must share with the run it goes on with."""
    return {
        "settings": settings.to_dict(),
        "schedule": schedule,
        "data": corpus.hashes,
        "tokenizer": corpus.tokenizer.kind,
        "vocabulary_size": corpus.vocabulary_size,
        "vocabulary": vocabulary_hash(corpus.tokenizer),
    }


def vocabulary_hash(tokenizer: Tokenizer) -> str:
    """Return the SHA-256 of all that says which ids a text gets."""
    settings = json.dumps(tokenizer.settings(), sort_keys=True)
    content = f"{tokenizer.to_json()}\0{settings}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()


def check_identity(stored: dict[str, Any], wanted: dict[str, Any], folder: Any) -> None:
    """Raise `ResumeError`, naming the first difference, unless the two are equal."""
    # What an older version did not know, it did as the defaults say.
    known = {**Settings().to_dict(), **stored["settings"]}
    for name, value in wanted["settings"].items():
        if not alike(known[name], value):
            raise ResumeError(
                f"The run in '{folder}' has {name}={known[name]}; "
                f"this command asks for {name}={value}. Resume with the settings it "
                "was begun with, or train anew with another --out."
            )
    for name in ("base", "adaptation"):
        if stored.get(name) != wanted.get(name):
            raise ResumeError(
                f"The run in '{folder}' adapts another model, or in another way: its "
                f"{name} differs. Resume with the command it was begun with, or adapt "
                "anew with another --out."
            )
    if VECTORS in stored and stored[VECTORS] != wanted.get(VECTORS):
        raise ResumeError(
            f"The run in '{folder}' was begun with other word vectors: the file "
            f"{wanted['settings']['vectors']} has other contents. Resume with the file "
            "it was begun with, or train anew with another --out."
        )
    # An older version wrote no hash of the vocabulary, and no protocol of a run that is
    # repeated.
    stored = {"vocabulary": wanted["vocabulary"], **stored}
    again = wanted["schedule"] or {}
    if stored.get("schedule") and "protocol" in again:
        stored["schedule"] = {"protocol": again["protocol"], **stored["schedule"]}
    for name in ("data", "tokenizer", "vocabulary_size", "vocabulary", "schedule"):
        if stored.get(name) != wanted[name]:
            raise ResumeError(
                f"The run in '{folder}' was begun with other text (or another "
                f"tokenizer): its {name} differs. Resume with the text it was begun "
                "with, or train anew with another --out."
            )


def environment() -> dict[str, Any]:
    """Return versions, code, backend and machine, for reports and checkpoints.

    Where all but the memory is equal, so are the bits of results. None of it decides
    whether a run may be gone on with or repeated.
    """
    facts = machine()
    return {
        "versions": {"keras-rnnlm": __version__, **_versions()},
        "code": code_hash(),
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
        "device": device_name(),
        "kernels": dispatch.native_target(),
        "cores": facts["cores"],
        "machine": f"{facts['system']}, {facts['processor']}",
        **{name: facts[name] for name in _OF_MACHINE},
    }


def environment_changes(stored: dict[str, Any]) -> list[str]:
    """Return sentences on what differs from the environment of a checkpoint.

    Args:
        stored: What `environment` returned then; an older version may know less.
    """
    now = environment()
    found = [
        f"{name} was {stored.get(name)} and is {now[name]} now: the result may differ "
        "from the uninterrupted run's in the last bits."
        for name in ("versions", "python", "backend", "device", "kernels", "cores")
        if stored.get(name) != now[name]
    ]
    if stored.get("code", now["code"]) != now["code"]:
        found.append(
            "The run was begun by other code of keras-rnnlm, or of an imported file, "
            "than goes on with it: the result may differ from the uninterrupted run's, "
            "and report.json will name the new code alone."
        )
    return found


def _versions() -> dict[str, str]:
    names = ("keras", keras.backend.backend(), "numpy", "tokenizers")
    return {name: str(import_module(name).__version__) for name in names}
