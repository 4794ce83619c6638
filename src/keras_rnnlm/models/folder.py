"""The model folder: network and tokenizer on disk, in formats that run no code.

`config.json` says how to build the network, `model.safetensors` holds the weights,
`tokenizer.json` the tokenizer, `manifest.json` the SHA-256 of every file. Whatever else
belongs to the model (log, report, card, picture) lies beside them.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_rnnlm import cell_registry
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import ConfigError, FolderError, RNNLMError, nearest
from keras_rnnlm.files import CARD, CHECKPOINT, REPORT, file_hash, write_files
from keras_rnnlm.files import json_bytes as json_bytes
from keras_rnnlm.files import write_file as write_file
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
from keras_rnnlm.models.networks import kind_of, network_class, network_weights
from keras_rnnlm.models.weights import (
    assign_weights,
    merged,
    named_weights,
    weight_arrays,
)

FORMAT = 1
# What was learnt beside matrices is added to them: a folder holds plain networks.
LEFT_OUT = ("dtype", "name", "low_rank")
NETWORK_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def save_folder(
    folder: str | Path,
    network: CausalLM,
    tokenizer: Tokenizer,
    protocol: str | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a model folder; where a file cannot be written, all are as they were.

    Args:
        folder: Where to; made if absent. Files of the same names are replaced; report
            and card of other weights are removed.
        network: The model.
        tokenizer: Its tokenizer.
        protocol: Evaluation protocol to use by default, for example `carry`.
        weights: Arrays to write instead of the network's current weights.
        extra: Further files, name to content.

    Raises:
        FolderError: The folder cannot be written.
    """
    folder = Path(folder)
    arguments = network.get_config()
    config = {
        "format": FORMAT,
        "kind": kind_of(network),
        "network": {k: _plain(v) for k, v in arguments.items() if k not in LEFT_OUT},
        "tokenizer": tokenizer.settings(),
        "protocol": protocol,
    }
    given = weight_arrays(network) if weights is None else weights
    arrays = _contiguous(merged(given))
    files = {
        "config.json": json_bytes(config),
        "model.safetensors": save(arrays),
        "tokenizer.json": tokenizer.to_json().encode("utf-8"),
        **(extra or {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        weights_file = folder / "model.safetensors"
        before = file_hash(weights_file) if weights_file.is_file() else None
        write_files(folder, files)
        if before is not None and before != file_hash(weights_file):
            for name in {REPORT, CARD} - files.keys():
                (folder / name).unlink(missing_ok=True)
        write_manifest(folder)
    except OSError as error:
        raise FolderError(
            f"Cannot write the model folder '{folder}': {error.strerror}. "
            "Choose a folder you may write to, on a disk with room."
        ) from error
    return folder


def load_folder(folder: str | Path) -> tuple[CausalLM, Tokenizer, dict[str, Any]]:
    """Read a model folder: network (in float32), tokenizer and `config.json`.

    Raises:
        FolderError: The folder is absent, incomplete, damaged or of another kind.
    """
    folder = Path(folder)
    _check_files(folder)
    config = _read_config(folder)
    try:
        tokenizer = Tokenizer.from_json(
            (folder / "tokenizer.json").read_text(encoding="utf-8"), config["tokenizer"]
        )
    except (RNNLMError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _foreign(folder, f"tokenizer.json cannot be read ({error})") from error
    if tokenizer.vocabulary_size != config["network"].get("vocabulary_size"):
        raise _foreign(
            folder,
            f"the tokenizer has {tokenizer.vocabulary_size} tokens, the network "
            f"{config['network'].get('vocabulary_size')}",
        )
    kind = config.get("kind", "rnn")  # folders of old name none
    try:
        made = network_class(kind)
    except ConfigError as error:
        raise _foreign(folder, f"config.json names no known kind ({error})") from error
    if kind == "rnn":
        _check_cell(folder, config["network"])
    # A `dtype` may be a description of objects that Keras would make.
    surplus = [name for name in LEFT_OUT if name in config["network"]]
    if surplus:
        raise _foreign(folder, f"config.json has '{surplus[0]}' for the network")
    arrays = _read_weights(folder / "model.safetensors")
    # Sizes are compared before anything is built: a hostile config must not be able
    # to ask for more memory than the weights beside it take.
    wanted = network_weights(kind, config["network"])
    if wanted != sum(array.size for array in arrays.values()):
        raise _foreign(folder, "config.json does not fit the size of the weights")
    try:
        network = made(**config["network"])
    except (TypeError, ValueError) as error:
        raise _foreign(folder, f"config.json describes no model ({error})") from error
    assign_weights(network, arrays)
    return network, tokenizer, config


def write_manifest(folder: Path) -> None:
    """Write `manifest.json`: format version and the SHA-256 of every other file.

    A checkpoint is none of them: it goes when the run has ended.
    """
    names = sorted(
        p.name
        for p in folder.iterdir()
        if p.is_file()
        and p.name not in ("manifest.json", CHECKPOINT)
        and not p.name.startswith(".")
    )
    manifest = {"format": FORMAT, "sha256": {n: file_hash(folder / n) for n in names}}
    write_file(folder / "manifest.json", json_bytes(manifest))


def _check_files(folder: Path) -> None:
    if folder.is_file():
        raise FolderError(
            f"'{folder}' is a file; expected the folder that `rnnlm train` wrote "
            "(--out)."
        )
    if not folder.is_dir():
        raise FolderError(
            f"Model folder '{folder}' does not exist. Give the folder that "
            "`rnnlm train` wrote (--out)."
        )
    if is_ensemble(folder):
        members = member_folders(folder)
        raise FolderError(
            f"'{folder}' is an ensemble of {len(members)} models, expected one model. "
            f"Give one of them, such as '{members[0]}'; `rnnlm evaluate` takes them "
            "all together."
        )
    missing = [
        n for n in (*NETWORK_FILES, "manifest.json") if not (folder / n).is_file()
    ]
    if missing:
        hint = (
            " Its training has not finished: go on with `rnnlm train ... --resume`."
            if (folder / CHECKPOINT).is_file()
            else ""
        )
        raise FolderError(
            f"'{folder}' is not a complete model folder: {', '.join(missing)} missing."
            f"{hint}"
        )
    manifest = _read_json(folder, "manifest.json")
    hashes = manifest.get("sha256")
    if manifest.get("format") != FORMAT or not isinstance(hashes, dict):
        raise _foreign(folder, f"manifest.json is not of format {FORMAT}")
    for name in NETWORK_FILES:
        if hashes.get(name) != file_hash(folder / name):
            raise FolderError(
                f"'{folder / name}' is damaged: its SHA-256 differs from the one in "
                "manifest.json. Copy the folder again, or train again."
            )


def _check_cell(folder: Path, network: Mapping[str, Any]) -> None:
    """Raise `FolderError` naming a cell that is not known here."""
    name = network.get("cell")
    if not isinstance(name, str):
        raise _foreign(folder, "config.json names no cell")
    try:
        cell_registry.find(name)
    except ConfigError as error:
        if name in cell_registry.names():
            raise FolderError(f"'{folder}' cannot be loaded. {error}") from error
        raise FolderError(
            f"The model in '{folder}' has the cell '{name}', which is not registered "
            f"here.{nearest(name, cell_registry.names())} Install the package that has "
            "it, or give the file that registers it: --import FILE on the command "
            "line, an import of that file in Python before loading."
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    config = _read_json(folder, "config.json")
    parts = (config.get("network"), config.get("tokenizer"))
    if config.get("format") != FORMAT or not all(isinstance(p, dict) for p in parts):
        raise _foreign(folder, f"config.json is not of format {FORMAT}")
    return config


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _foreign(folder, f"{name} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _foreign(folder, f"{name} holds no JSON object")
    return value


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, framework="numpy") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise FolderError(
            f"'{path}' cannot be read as weights ({error}): it is truncated or damaged."
        ) from error


def _plain(value: Any) -> Any:
    """Return an argument with numbers of Python's own, which alone JSON knows."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # safetensors writes the memory of a transposed view as if it were not transposed.
    return {n: np.ascontiguousarray(a, dtype="float32") for n, a in arrays.items()}


def _foreign(folder: Path, why: str) -> FolderError:
    return FolderError(
        f"'{folder}' is not a model folder of this version of keras-rnnlm: {why}."
    )


def parameter_count(network: CausalLM) -> int:
    """Return the number of weights that training can change, frozen ones included."""
    named = named_weights(network).items()
    return sum(math.prod(v.shape) for n, v in named if n != "output.order")
