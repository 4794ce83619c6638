"""The files of `Tuned` in a model folder; see `tuned`."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import EVALUATION, write_files
from keras_rnnlm.models.folder import json_bytes, write_manifest
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.stored_ngram import StoredNGram, read_checked
from keras_rnnlm.scoring.tuned import Line, Tuned

SETTINGS, SCALE, ARPA = EVALUATION, "gradient-scale.safetensors", "ngram.arpa"
FORMAT = 1
_MEMBER = "member-"  # begins the names of scales of members from the second on


def write_tuned(folder: str | Path, tuned: Tuned, tokenizer: Tokenizer) -> None:
    """Write the settings into a model folder and renew its manifest.

    Args:
        folder: A complete model folder, or that of an ensemble.
        tuned: What to write; files of earlier settings are replaced or removed.
        tokenizer: Of the model, which names the tokens of the n-gram model.

    Raises:
        FolderError: The folder cannot be written, or a stored n-gram model is damaged.
    """
    put_files(folder, files_of(tuned, tokenizer))


def check_writable(folder: str | Path) -> None:
    """Raise what `write_tuned` would for a folder that cannot be written."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(Path(folder), error) from error


def files_of(tuned: Tuned | None, tokenizer: Tokenizer) -> dict[str, bytes | None]:
    """Return the files that a model folder has of the settings.

    Args:
        tuned: The settings; None for a folder without any.
        tokenizer: Of the model, which names the tokens of the n-gram model.

    Returns:
        Name to content; None for a file that must not be there.

    Raises:
        FolderError: A stored n-gram model is damaged.
    """
    files: dict[str, bytes | None] = {SETTINGS: None, SCALE: None, ARPA: None}
    if tuned is None:
        return files
    files[SETTINGS] = json_bytes(_described(tuned))
    if tuned.scale is not None:
        # safetensors writes a transposed array wrongly without a word.
        named = _named(tuned.scale, tuned.member_scales).items()
        files[SCALE] = save({n: np.ascontiguousarray(a) for n, a in named})
    source = tuned.ngram_source
    if isinstance(source, StoredNGram):
        files[ARPA] = source.content()
    elif source is not None:
        files[ARPA] = _arpa(source, tokenizer)
    return files


def put_files(folder: str | Path, files: Mapping[str, bytes | None]) -> None:
    """Write what `files_of` returned into a model folder and renew its manifest.

    Raises:
        FolderError: The folder cannot be written.
    """
    folder = Path(folder)
    if not any(content or (folder / name).exists() for name, content in files.items()):
        return
    try:
        written = {n: content for n, content in files.items() if content is not None}
        write_files(folder, written)
        for name in files.keys() - written.keys():
            (folder / name).unlink(missing_ok=True)
        write_manifest(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def read_tuned(folder: str | Path, tokenizer: Tokenizer) -> Tuned | None:
    """Read the settings of a model folder.

    Args:
        folder: A complete model folder, or that of an ensemble.
        tokenizer: Of the model.

    Returns:
        None if none are stored there.

    Raises:
        FolderError: They are incomplete, damaged or of another version. The n-gram
            model, which is read when it is asked for, is looked at only then.
    """
    folder = Path(folder)
    if not (folder / SETTINGS).is_file():
        return None
    stored = _json(_checked(folder, SETTINGS), folder)
    try:
        if stored["format"] != FORMAT:
            raise ValueError(f"its format is {stored['format']}, not {FORMAT}")
        lines = tuple(Line.from_dict(line) for line in stored["lines"])
        if not lines:
            raise ValueError("it has no lines")
        record, weights_hash = dict(stored["record"]), str(stored["weights_hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise FolderError(
            f"'{folder / SETTINGS}' holds no settings of this version of keras-rnnlm "
            f"({error}). Run `rnnlm tune-evaluation` again."
        ) from error
    ngram = None
    if stored.get("ngram"):
        ngram = StoredNGram(folder / ARPA, _hash_of(folder, ARPA), tokenizer)
    scales = _read_scales(folder) if stored.get("scale") else []
    first = scales[0] if scales else None
    return Tuned(lines, weights_hash, record, first, ngram, tuple(scales[1:]))


def _unwritable(folder: Path, error: OSError) -> FolderError:
    return FolderError(
        f"Cannot write into the model folder '{folder}': {error.strerror}. Choose a "
        "folder you may write to, on a disk with room."
    )


def _described(tuned: Tuned) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "weights_hash": tuned.weights_hash,
        "lines": [line.to_dict() for line in tuned.lines],
        "scale": tuned.scale is not None,
        "ngram": tuned.ngram_source is not None,
        "record": dict(tuned.record),
    }


def _arpa(ngram: NGramModel, tokenizer: Tokenizer) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ARPA
        ngram.write_arpa(path, tokenizer)
        return path.read_bytes()


def _named(
    scale: GradientScale, others: Sequence[GradientScale]
) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of all scales by name; those of others say which member's."""
    named = dict(scale.named)
    for number, other in enumerate(others, 2):
        named |= {f"{_MEMBER}{number}.{name}": a for name, a in other.named.items()}
    return named


def _read_scales(folder: Path) -> list[GradientScale]:
    """Return the scale of the network, or those of all networks of an ensemble."""
    begun = time.perf_counter()
    path = _checked(folder, SCALE)
    members: dict[int, dict[str, NDArray[np.float32]]] = {1: {}}
    try:
        with safe_open(path, framework="numpy") as stored:
            for name in stored.keys():  # noqa: SIM118
                number, own = 1, name
                if name.startswith(_MEMBER):
                    member, _, own = name.removeprefix(_MEMBER).partition(".")
                    number = int(member)
                members.setdefault(number, {})[own] = stored.get_tensor(name)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise FolderError(
            f"'{path}' cannot be read ({error}). Run `rnnlm tune-evaluation` again."
        ) from error
    seconds = (time.perf_counter() - begun) / len(members)
    return [GradientScale(members[number], seconds) for number in sorted(members)]


def _checked(folder: Path, name: str) -> Path:
    """Return the path of a file whose hash is that of the manifest."""
    path = folder / name
    read_checked(path, _hash_of(folder, name))
    return path


def _hash_of(folder: Path, name: str) -> Any:
    """Return what the manifest has as a file's SHA-256; None if nothing."""
    hashes = _json(folder / "manifest.json", folder).get("sha256")
    return hashes.get(name) if isinstance(hashes, dict) else None


def _json(path: Path, folder: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(
            f"'{path}' is not JSON ({error}). Copy the folder again."
        ) from error
    if not isinstance(value, dict):
        raise FolderError(f"'{path}' holds no JSON object. Copy the folder again.")
    return value
