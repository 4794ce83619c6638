"""Does training with bfloat16 products end as well as training in float32?

    python benchmarks/precision.py train.txt valid.txt --model word-650 --steps 800

Trains a standard model twice, with the same seed and the same batches in the same
order, once in float32 and once with `precision = "mixed_bfloat16"`, as `rnnlm train`
would. Prints both validation losses at each validation and the difference at the end,
where both models are evaluated in float32. Give a text alone, or one for training and
one for validation.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras_rnnlm as krl
from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.bench.versions import versions
from keras_rnnlm.bench.workloads import WORKLOADS, Workload, workload
from keras_rnnlm.errors import RNNLMError
from keras_rnnlm.machine import machine

PRECISIONS = ("float32", "mixed_bfloat16")
COLOURS = {"float32": "#4c78a8", "mixed_bfloat16": "#d1495b"}


def train_both(
    corpus: Any, model: Workload, steps: int, validations: int, seed: int, rate: float
) -> dict[str, Any]:
    """Train in both precisions.

    Args:
        corpus: A `Corpus` with a validation text.
        model: Cell, sizes and shape of the batches; untied, without dropout.
        steps: Steps of Adam, one cycle of the learning rate.
        validations: Validations spread over the run, the last at its end.
        seed: Of weights and batches.
        rate: Peak learning rate.

    Returns:
        `settings`, and for each precision its `curve` (rows of step, tokens and
        valid_loss in nats a token), the final `valid_loss`, evaluated in float32 over
        the whole validation text, the loops taken and the seconds.
    """
    settings = krl.Settings(
        cell=model.cell,
        units=model.units,
        layers=model.layers,
        tie_weights=False,
        dropout=0.0,
        batch_size=model.batch,
        steps=model.steps,
        max_steps=steps,
        learning_rate=rate,
        validations=validations,
        seed=seed,
    )
    found: dict[str, Any] = {"settings": settings.to_dict(), "precisions": {}}
    for precision in PRECISIONS:
        print(f"training in {precision}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            result = krl.train(
                corpus, settings.replace(precision=precision), Path(folder) / "run"
            )
            log = (result.folder / "training.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in log]
        found["precisions"][precision] = {
            "curve": [
                {key: row[key] for key in ("step", "tokens", "valid_loss")}
                for row in rows
                if row["event"] == "valid"
            ],
            "training": [
                {key: row[key] for key in ("step", "tokens", "loss")}
                for row in rows
                if row["event"] == "train"
            ],
            "valid_loss": result.report["valid"]["loss"],
            "valid_tokens": result.report["valid"]["tokens"],
            "loops": result.report["loops"],
            "seconds": result.report["seconds"],
        }
    losses = [found["precisions"][p]["valid_loss"] for p in PRECISIONS]
    found["difference"] = losses[1] / losses[0] - 1.0
    return found


def lines(record: dict[str, Any]) -> list[str]:
    """Return the record as lines for people."""
    both = [record["precisions"][name] for name in PRECISIONS]
    said = [f"{'step':>8}  {'float32':>9}  {'bfloat16':>9}  difference"]
    for wide, narrow in zip(both[0]["curve"], both[1]["curve"], strict=True):
        change = narrow["valid_loss"] / wide["valid_loss"] - 1.0
        said.append(
            f"{wide['step']:>8}  {wide['valid_loss']:>9.4f}  "
            f"{narrow['valid_loss']:>9.4f}  {change:+.2%}"
        )
    said.append(
        f"in the end, evaluated in float32: {both[0]['valid_loss']:.4f} and "
        f"{both[1]['valid_loss']:.4f} nats a token, {record['difference']:+.2%}"
    )
    said.append(
        f"seconds: {both[0]['seconds']:.0f} and {both[1]['seconds']:.0f}; loops "
        f"{both[0]['loops']} and {both[1]['loops']}"
    )
    return said


def draw(record: dict[str, Any], path: str) -> None:
    """Draw both curves into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, style in zip(PRECISIONS, ("-", "--"), strict=True):
        curve = record["precisions"][name]["curve"]
        axes.plot(
            [row["tokens"] / 1e3 for row in curve],
            [row["valid_loss"] for row in curve],
            style,
            color=COLOURS[name],
            marker="o",
            label=f"{name}: {record['precisions'][name]['valid_loss']:.4f} at the end",
        )
    axes.set_xlabel("thousand tokens seen")
    axes.set_ylabel("validation loss (nats per token)")
    axes.set_title(f"difference at the end {record['difference']:+.2%}", fontsize=10)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.legend(frameon=False)
    figure.savefig(path, format="png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", help="training text")
    parser.add_argument("valid", nargs="?", help="validation text; a tail otherwise")
    names = [each.name for each in WORKLOADS]
    parser.add_argument("--model", choices=names, default="word-650")
    parser.add_argument("--cell", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--validations", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE.png")
    given = parser.parse_args(arguments)
    keep_freed_memory()
    model = workload(given.model).with_cell(given.cell)
    try:
        corpus = krl.Corpus.from_files(
            given.text,
            valid=given.valid,
            split=None if given.valid else (0.9, 0.1),
            tokenizer="char" if model.vocabulary <= 256 else "word",
            vocabulary_size=None if model.vocabulary <= 256 else model.vocabulary,
        )
        found = train_both(
            corpus,
            model,
            given.steps,
            given.validations,
            given.seed,
            given.learning_rate,
        )
    except RNNLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    typed = sys.argv[1:] if arguments is None else arguments
    record = {
        "kind": "precision",
        "format": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/precision.py", *typed]),
        "machine": machine(),
        "versions": versions(),
        "model": model.to_dict(),
        "vocabulary": corpus.vocabulary_size,
        **found,
    }
    print("\n".join(lines(record)))
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if given.plot:
        draw(record, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
