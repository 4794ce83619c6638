"""Many short trainings over a grid of settings: what the rules of `suggest` come from.

    python benchmarks/sweeps/run.py benchmarks/sweeps/minute.toml \
        --data ../shared/data --out benchmarks/results/sweeps/minute.jsonl

A file of sweeps has one or more tables such as

    [base.ptb]                 # settings of all runs on that text
    layers = 1

    [[sweep]]
    text = "ptb"               # one of TEXTS below
    share = 0.1                # of its training text, from the beginning
    minutes = 1                # of each run, from its start to its end
    set = ["cell=gru"]         # in all runs of the table
    grid = { units = [128, 256], learning_rate = [10, 20] }

and is run point by point, one process after the other on an otherwise idle machine.
Each run adds a line to the output. What stands there already is not repeated, so a
sweep can be interrupted, go on, and grow. All figures are of validation text.
With `--keep FOLDER` each run leaves report and log there, in a folder of its own.
"""

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_rnnlm.bench.kept import Kept
from keras_rnnlm.errors import InputError


class Text(NamedTuple):
    """Where a text lies below the data folder, and how it is divided.

    Attributes:
        train: Training file.
        valid: Validation file; None for the part of `train` from 85% to 90%, behind
            which the test text of that file begins.
        tokenizer: Its tokens.
    """

    train: str
    valid: str | None
    tokenizer: str


TEXTS = {
    "ptb": Text("ptb/train.txt", "ptb/valid.txt", "word"),
    "shakespeare": Text("shakespeare/input.txt", None, "char"),
    "songci": Text("songci/train.txt", "songci/valid.txt", "char"),
}


def main() -> None:
    """Run what is missing, in the order of the file, and write after each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweeps", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="folder for reports and logs")
    parser.add_argument("--hours", type=float, help="begin no run after so long")
    given = parser.parse_args()
    begun = time.monotonic()
    wanted = tomllib.loads(given.sweeps.read_text("utf-8"))
    runs = [
        (sweep, sets)
        for sweep in wanted["sweep"]
        for sets in points(sweep, wanted.get("base", {}).get(sweep["text"], {}))
    ]
    try:
        kept = Kept(given.keep, [key_of(sweep, sets) for sweep, sets in runs])
    except InputError as error:
        parser.error(str(error))
    known = {row["key"] for row in rows_of(given.out)}
    for sweep, sets in runs:
        key = key_of(sweep, sets)
        if key in known:
            continue
        if given.hours and time.monotonic() - begun > 3600 * given.hours:
            return
        row = {"key": key, **measured(sweep, sets, given.data, kept)}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with given.out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        known.add(key)
        print(json.dumps(row), flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the runs that a file holds."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def points(sweep: dict[str, Any], base: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the settings of each run of a sweep, as `key=value`."""
    grid = sweep.get("grid", {})
    fixed = {**base, **dict(one.split("=", 1) for one in sweep.get("set", []))}
    for values in itertools.product(*grid.values()):
        settings = {**fixed, **dict(zip(grid, values, strict=True))}
        yield [f"{key}={value}" for key, value in settings.items()]


def key_of(sweep: dict[str, Any], sets: list[str]) -> str:
    """Return by what a run is known."""
    parts = [sweep["text"], f"{sweep.get('share', 1.0):g}", f"{sweep['minutes']:g}"]
    return " ".join([*parts, *sorted(sets)])


def measured(
    sweep: dict[str, Any], sets: list[str], data: Path, kept: Kept
) -> dict[str, Any]:
    """Train once; return what it was and what came of it.

    Raises:
        RuntimeError: The command failed for another reason than that the run diverged.
    """
    text, share = TEXTS[sweep["text"]], float(sweep.get("share", 1.0))
    with tempfile.TemporaryDirectory() as folder:
        train, valid = divided(data, text, share, Path(folder))
        command = [sys.executable, "-m", "keras_rnnlm", "train", str(train)]
        command += ["--valid", str(valid), "--tokenizer", text.tokenizer, "--json"]
        # Else settings that a sweep says nothing of would be chosen for the time.
        command += ["--recipe", text.tokenizer]
        model = Path(folder, "model")
        command += ["--out", str(model)]
        command += [f"--set=minutes={sweep['minutes']:g}", "--set=validations=1"]
        command += [f"--set={one}" for one in sets]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        diverged = done.returncode != 0 and "not a number" in done.stderr
        if diverged or not done.returncode:
            kept.keep(key_of(sweep, sets), model)
    row: dict[str, Any] = {
        "text": sweep["text"],
        "share": share,
        "minutes": sweep["minutes"],
        "set": sets,
    }
    if diverged:
        return {**row, "nats": None}
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    settings, figures = report["settings"], report["valid"]
    names = ("cell", "units", "layers", "embedding", "dropout", "batch_size", "steps")
    more = ("optimizer", "learning_rate", "precision", "output", "weight_dropout")
    return {
        **row,
        **{name: settings[name] for name in (*names, *more)},
        "weights": report["parameters"],
        "vocabulary": report["data"]["vocabulary_size"],
        "train_tokens": report["data"]["train"]["tokens_predicted"],
        "epochs": round(report["epochs"], 3),
        "steps_taken": report["schedule"]["steps"],
        "nats": round(figures["loss"], 5),
        "bits_per_character": round(figures["bits_per_character"], 5),
        "perplexity": round(figures["perplexity"], 4),
        "seconds": report["seconds"],
    }


def divided(data: Path, text: Text, share: float, folder: Path) -> tuple[Path, Path]:
    """Write the training part of a text; return it and the validation text."""
    whole = (data / text.train).read_bytes()
    if text.valid is None:
        end, stop = (at_line(whole, part) for part in (0.85, 0.9))
        valid = folder / "valid.txt"
        valid.write_bytes(whole[end:stop])
        whole = whole[:end]
    else:
        valid = data / text.valid
    name = hashlib.sha256(f"{text.train} {share}".encode()).hexdigest()[:8]
    train = folder / f"train-{name}.txt"
    train.write_bytes(whole[: at_line(whole, share)])
    return train, valid


def at_line(text: bytes, share: float) -> int:
    """Return where the line ends in which a share of a text ends."""
    if share >= 1:
        return len(text)
    return text.index(b"\n", int(share * len(text))) + 1


if __name__ == "__main__":
    main()
