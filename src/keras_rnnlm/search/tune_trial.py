"""The process of one training: a trial on one rung, or a final run.

Started as `python -m keras_rnnlm.search.tune_trial TASK` with a JSON object:

- `settings`: of the run;
- `folder`: of the run; what was begun there is gone on with;
- `corpus`: see `tune_corpus`;
- `cores`: to run on;
- `started`: `time.monotonic()` at which its time begins;
- `imports`: Python files to run before.

What comes of it stands in the folder: `report.json` of a finished run, or beside it
`FOLDER.failure.json` with `kind` and `message`. It ends with a checkpoint when its
parent does.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.errors import (
    ConfigError,
    ProbabilityError,
    RNNLMError,
    TrainingError,
)
from keras_rnnlm.files import json_bytes, write_file
from keras_rnnlm.search.children import (
    leave_interrupts_to_parent,
    specification_of,
    use_cores,
    when_parent_ends,
)

MODULE = "keras_rnnlm.search.tune_trial"
SETTINGS, TRAINING, FATAL = "settings", "training", "fatal"


def failure_path(folder: Path) -> Path:
    """Return the file that says why a run has no figures."""
    return folder.with_name(f"{folder.name}.failure.json")


def kind_of(error: RNNLMError) -> str:
    """Return whether a trial failed by an error, or all would: they have one text.

    Training that went astray may show in the last evaluation alone: weights are numbers
    still, but what comes of them in a stream longer than any validation is none.
    """
    kinds = {
        TrainingError: TRAINING,
        ProbabilityError: TRAINING,
        ConfigError: SETTINGS,
    }
    return kinds.get(type(error), FATAL)


def main() -> None:
    """Train as the task says."""
    leave_interrupts_to_parent()
    task = specification_of()
    use_cores(task["cores"])
    keep_freed_memory()
    when_parent_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))
    folder = Path(task["folder"])
    try:
        interrupted = _train(task, folder)
    except RNNLMError as error:
        _fail(folder, kind_of(error), str(error))
    except MemoryError:
        _fail(folder, SETTINGS, "Not enough memory for these settings.")
    except OSError as error:
        _fail(folder, FATAL, f"{error.filename or folder}: {error.strerror}.")
    else:
        sys.exit(0 if interrupted is None else 128 + interrupted)
    sys.exit(2)


def _train(task: dict[str, Any], folder: Path) -> int | None:
    from keras_rnnlm.own_code import import_file

    for file in task["imports"]:
        import_file(Path(file))

    from keras_rnnlm.program_cache import keep_programs

    keep_programs()

    from keras_rnnlm.config import Settings
    from keras_rnnlm.search.tune_corpus import read_corpus
    from keras_rnnlm.training.train import train

    return train(
        read_corpus(Path(task["corpus"])),
        Settings.from_dict(task["settings"]),
        folder,
        resume=folder.exists(),
        started=task["started"],
    ).interrupted


def _fail(folder: Path, kind: str, message: str) -> None:
    print(message, file=sys.stderr)
    content = json_bytes({"kind": kind, "message": message})
    write_file(failure_path(folder), content)


if __name__ == "__main__":
    main()
