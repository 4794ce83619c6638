"""Checkpoints: one file that holds all a run needs to go on as if never interrupted.

A safetensors file. Arrays: every variable of the model (weights, random state, carried
state, running metrics) and of the optimizer (moments, averaged weights), by position,
and the best weights so far, by name. The metadata is one JSON object: position in the
data, schedule, history. It is written beside the old file, flushed to the disk, and
put in its place in one move, so at every instant one complete file is there.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_rnnlm.errors import ResumeError
from keras_rnnlm.files import CHECKPOINT, write_file

_META = "keras_rnnlm_checkpoint"
_FORMAT = 3


@dataclass
class Checkpoint:
    """The state of a run after a number of completed steps.

    Attributes:
        arrays: Variables by `model.I`, `metrics.I` and `optimizer.I`.
        best: Best weights so far by name; empty before the first validation.
        meta: What JSON can hold: settings, data, step, schedule, history.
    """

    arrays: dict[str, np.ndarray]
    best: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def snapshot(model: Any) -> dict[str, np.ndarray]:
    """Copy every variable of a compiled model to the host, by kind and position."""
    return {
        name: np.array(keras.ops.convert_to_numpy(v.value), order="C")
        for name, v in _variables(model).items()
    }


def restore(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Assign what `snapshot` copied to a model built and compiled the same way.

    Raises:
        ResumeError: The model has other variables than the one that was copied.
    """
    variables = _variables(model)
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    if shapes != {name: a.shape for name, a in arrays.items()}:
        raise ResumeError(
            "The checkpoint does not fit the model that these settings build. Resume "
            "with the version of keras-rnnlm and Keras that wrote it, or train anew "
            "with another --out."
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def restore_metrics(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Assign the running metrics of `snapshot`: `fit` begins with a reset of them."""
    running = {id(variable) for variable in model.metrics_variables}
    for name, variable in _variables(model).items():
        if id(variable) in running:
            variable.assign(arrays[name])


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of a run folder; raises OSError, leaving the old one."""
    arrays = dict(checkpoint.arrays)
    arrays.update({f"best.{name}": a for name, a in checkpoint.best.items()})
    meta = json.dumps({"format": _FORMAT, **checkpoint.meta})
    write_file(folder / CHECKPOINT, save(arrays, metadata={_META: meta}))


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint of a run folder; None where there is none.

    Raises:
        ResumeError: It cannot be read, is damaged or another version's. It is written
            in one step, so a damaged one is not that of a run that was killed.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as stored:
            meta = json.loads((stored.metadata() or {})[_META])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ResumeError(
            f"The checkpoint '{path}' cannot be read ({error}). Copy it again, or move "
            "it out of the folder and let --resume start over."
        ) from error
    if meta.get("format") != _FORMAT:
        raise ResumeError(
            f"The checkpoint in '{folder}' is of format {meta.get('format')}, this "
            f"version reads format {_FORMAT}. Resume with the version of keras-rnnlm "
            "that wrote it, or train anew with another --out."
        )
    best = {n[5:]: a for n, a in arrays.items() if n.startswith("best.")}
    rest = {n: a for n, a in arrays.items() if not n.startswith("best.")}
    return Checkpoint(arrays=rest, best=best, meta=meta)


def _variables(model: Any) -> dict[str, Any]:
    kinds = {
        "model": model.variables,
        "metrics": model.metrics_variables,
        "optimizer": model.optimizer.variables,
    }
    seen: set[int] = set()
    named = {}
    for kind, variables in kinds.items():
        for i, variable in enumerate(variables):
            if id(variable) not in seen:
                seen.add(id(variable))
                named[f"{kind}.{i}"] = variable
    return named
