"""A training that takes no time, in the place of `keras_rnnlm.search.tune_trial`.

Its loss is a function of its settings; it goes on where it was stopped, and tells in a
file beside its folder how often it was begun. `FAKE_STEPS` and `FAKE_SECONDS` say how
long it takes. A learning rate above 1 is no number after a while, above 10 it kills
itself.
"""

import json
import math
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from keras_rnnlm.files import write_file
from keras_rnnlm.search.children import (
    leave_interrupts_to_parent,
    specification_of,
    when_parent_ends,
)
from keras_rnnlm.search.tune_trial import SETTINGS, TRAINING, failure_path


def loss_of(settings: dict[str, Any]) -> float:
    budget = settings["max_steps"] or settings["minutes"]
    miss = (math.log10(settings["learning_rate"]) + 2) ** 2
    return 1.0 + 0.1 * miss + abs(settings["units"] - 16) / 100 + 1.0 / budget


def main() -> None:
    leave_interrupts_to_parent()
    task = specification_of()
    stopped = threading.Event()
    when_parent_ends(stopped.set)
    folder, settings = Path(task["folder"]), task["settings"]
    rate = settings["learning_rate"]
    if rate > 10:
        os.kill(os.getpid(), signal.SIGKILL)
    if rate > 1:
        kind = SETTINGS if rate > 5 else TRAINING
        told = {"kind": kind, "message": "The loss is not a number."}
        failure_path(folder).write_text(json.dumps(told))
        sys.exit(2)
    if settings["units"] == 31 and os.environ.get("FAKE_SLOW"):
        stopped.wait(float(os.environ["FAKE_SLOW"]))
        sys.exit(143)
    folder.mkdir(exist_ok=True)
    with folder.with_name(f"{folder.name}.begun").open("a") as stream:
        stream.write("begun\n")
    checkpoint = folder / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(done, int(os.environ.get("FAKE_STEPS", "1"))):
        write_file(checkpoint, str(step).encode())  # whole, whenever it is killed
        if stopped.wait(float(os.environ.get("FAKE_SECONDS", "0"))):
            sys.exit(143)
    loss = loss_of(settings)
    report = {
        "valid": {"loss": loss, "perplexity": math.exp(loss)},
        "seconds": 0.5,
        "parameters": 10 * settings["units"],
        "schedule": {"steps": settings["max_steps"] or 7},
        "epochs": 0.25,
        "environment": {"cores": 1},
    }
    log = {"event": "valid", "tokens": 9, "seconds": time.monotonic(), "valid_loss": 1}
    (folder / "training.jsonl").write_text(json.dumps(log) + "\n")
    write_file(folder / "report.json", json.dumps(report).encode())


if __name__ == "__main__":
    main()
