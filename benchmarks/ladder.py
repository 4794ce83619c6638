"""What each addition to a recipe gains, at equal time.

    python benchmarks/ladder.py rows.toml --minutes 4 --json FILE -- \
        train.txt --valid valid.txt --recipe ptb-10min

What stands behind `--` goes to `rnnlm train`. A file of rows has, for each run, a name
and what it changes:

    [[row]]
    name = "bfloat16 products"
    set = ["precision=mixed_bfloat16"]

Every run is a process of its own, `minutes` from its start to its end, judged on the
validation text alone; give no test text. Runs that the JSON file holds already are not
repeated, so that rows can be added: other minutes or arguments need another file.

`--keep FOLDER` leaves report and log of each run in a folder of FOLDER that is named
after the row; of a run that diverges the log, if it came to one. Give it from the
beginning: of runs that the JSON file holds already there is nothing to keep.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from keras_rnnlm.bench.kept import Kept
from keras_rnnlm.bench.record import write_figures
from keras_rnnlm.errors import InputError

DIVERGED = "Training stopped"
RNNLM = shlex.join([sys.executable, "-m", "keras_rnnlm"])


def main() -> None:
    """Run what is missing, in the order of the file, and write after each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="folder for reports and logs")
    parser.add_argument("--title", default="At equal time")
    parser.add_argument("--rnnlm", default=RNNLM, help="the command to run")
    parser.add_argument("arguments", nargs="+", help="of rnnlm train, behind --")
    given = parser.parse_args()
    wanted = tomllib.loads(given.rows.read_text("utf-8"))["row"]
    try:
        kept = Kept(given.keep, [row["name"] for row in wanted])
    except InputError as error:
        parser.error(str(error))
    known = {}
    if given.json.exists():
        stored = json.loads(given.json.read_text("utf-8"))["rows"]
        known = {row["run"]: row for row in stored}
    for row in wanted:
        name, sets = row["name"], row.get("set", [])
        if known.get(name, {}).get("settings") != " ".join(sets):
            known[name] = measured(name, sets, given, kept)
            print(json.dumps(known[name]), flush=True)
        done = [known[row["name"]] for row in wanted if row["name"] in known]
        write_figures(given.json, "ladder", sys.argv[1:], given.title, done)


def measured(
    name: str, sets: list[str], given: argparse.Namespace, kept: Kept
) -> dict[str, Any]:
    """Train with some settings changed; return a row of figures.

    That of a training that cannot go on, such as one that diverges, says why.

    Raises:
        RuntimeError: Settings that cannot be; what the command said is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [*shlex.split(given.rnnlm), "train", *given.arguments]
        command += ["--set", f"minutes={given.minutes:g}", "--json"]
        model = Path(folder, "model")
        command += ["--out", str(model)]
        for one in sets:
            command += ["--set", one]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 or DIVERGED in done.stderr:
            kept.keep(name, model)
    row: dict[str, Any] = {"run": name, "settings": " ".join(sets)}
    if DIVERGED in done.stderr:
        return {**row, "failed": DIVERGED}
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    figures = report["valid"]
    return {
        **row,
        "weights": report["parameters"],
        "validation perplexity": figures["perplexity"],
        "nats a token": round(figures["loss"], 4),
        "protocol": figures["protocol"],
        "epochs": round(report["epochs"], 2),
        "steps": report["schedule"]["steps"],
        "seconds": report["seconds"],
    }


if __name__ == "__main__":
    main()
