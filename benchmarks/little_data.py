"""What helps where text is short: vectors, adaptation, noising, sub-words, sizes.

    python benchmarks/little_data.py --data ptb --larger larger.txt --work work \
        --share 0.1 --minutes 1.5 --seeds 0,1,2 --out results/little-data.jsonl
    python benchmarks/little_data.py --table results/little-data.jsonl

`--data` is a folder with train.txt, valid.txt and test.txt, of whose training text the
first `--share` is trained on. All ways have one vocabulary, that of the whole training
text, so that perplexities a word compare; sub-words spell the same words. What comes
from larger texts (vectors from the whole training text, a model of `--larger`) is made
once, in `--work`, and its time counts for nobody. Every run is a process of its own,
`minutes` from its start to its end. Runs that the file holds already are not repeated.
With `--keep FOLDER` each run leaves report and log there, in a folder of its own.
"""

import argparse
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_rnnlm.bench.kept import Kept
from keras_rnnlm.errors import InputError

RNNLM = (sys.executable, "-m", "keras_rnnlm")
WAYS = Path(__file__).with_suffix(".toml")
NOTHING = "nothing"
OF_MODEL = ("cell", "units", "layers", "tie_weights", "output", "output_samples")
"""Settings that a model which is adapted brings along."""


def main() -> None:
    """Run what is missing and write after each run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="print what this file holds")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--larger", type=Path, help="a longer text of another kind")
    parser.add_argument("--work", type=Path, help="for what is made once")
    parser.add_argument("--ways", type=Path, default=WAYS)
    parser.add_argument("--only", help="ways whose name matches this expression")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--larger-minutes", type=float, default=5.0)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for reports and logs")
    given = parser.parse_args()
    if given.table is not None:
        print(table(rows_of(given.table)))
        return
    for name in ("data", "work", "out"):
        if getattr(given, name) is None:
            parser.error(f"--{name} is needed to measure")
    ways = tomllib.loads(given.ways.read_text("utf-8"))["way"]
    if given.only:
        ways = [way for way in ways if re.search(given.only, way["name"])]
    if given.larger is None and any(way.get("adapt") for way in ways):
        parser.error("a way adapts a model of a larger text: give --larger, or --only")
    seeds = [int(seed) for seed in given.seeds.split(",")]
    runs = {key_of(given, way, seed): (way, seed) for seed in seeds for way in ways}
    try:
        kept = Kept(given.keep, runs)
    except InputError as error:
        parser.error(str(error))
    prepared = Prepared(given)
    known = {row["key"] for row in rows_of(given.out)}
    for key, (way, seed) in runs.items():
        if key in known:
            continue
        row = {"key": key, "set": given.sets, **prepared.run(way, seed)}
        kept.keep(key, prepared.folder)
        with given.out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def key_of(given: argparse.Namespace, way: dict[str, Any], seed: int) -> str:
    """Return by what a run is known."""
    key = f"{given.share:g} {way['name']} {given.minutes:g} {seed}"
    return " ".join([key, *given.sets])


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the runs that a file holds."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class Prepared:
    """The text cut to size, its vocabulary, and what larger texts teach."""

    def __init__(self, given: argparse.Namespace) -> None:
        """Make what is not there yet."""
        self.given, work = given, given.work
        work.mkdir(parents=True, exist_ok=True)
        whole = (given.data / "train.txt").read_text("utf-8")
        lines = whole.splitlines(keepends=True)
        self.train = work / f"train-{given.share:g}.txt"
        self.train.write_text("".join(lines[: round(given.share * len(lines))]))
        self.vocabulary = work / "vocabulary.txt"
        self.vocabulary.write_text("\n".join(sorted(set(whole.split()))) + "\n")
        self.folder = work / "run"  # of the newest run
        self.vectors, self.model = work / "vectors.vec", work / "larger"
        if not self.vectors.exists():
            call(
                "vectors", "train", given.data / "train.txt", "--out", self.vectors,
                "--dimensions", 256, "--min-count", 1, "--epochs", 10,
            )  # fmt: skip
        if given.larger is not None and not self.model.exists():
            call(
                "train", plain_words(given.larger, work / "larger.txt"),
                "--tokenizer", "word", "--vocabulary", self.vocabulary,
                "--split", "0.97,0.03", "--out", self.model, "--recipe", "word",
                *(f"--set={one}" for one in self.base()),
                f"--set=minutes={given.larger_minutes:g}",
            )  # fmt: skip

    def base(self) -> list[str]:
        """Return the settings that all ways begin with."""
        ways = tomllib.loads(self.given.ways.read_text("utf-8"))
        return [*ways["base"]["set"], *self.given.sets]

    def run(self, way: dict[str, Any], seed: int) -> dict[str, Any]:
        """Train in one way; return what it was and what came of it."""
        out = self.folder
        shutil.rmtree(out, ignore_errors=True)
        sets = [one.format(vectors=self.vectors) for one in way.get("set", [])]
        base = self.base()
        if way.get("adapt"):
            # The network is the model's.
            base = [one for one in base if one.split("=")[0] not in OF_MODEL]
            words: list[Any] = ["adapt", self.model, self.train]
        else:
            # Else what is not set would be chosen for the time.
            recipe = "subword" if "tokenizer" in way else "word"
            words = ["train", self.train, "--recipe", recipe]
            words += way.get(
                "tokenizer", ["--tokenizer", "word", "--vocabulary", self.vocabulary]
            )
        for part in ("valid", "test"):
            words += [f"--{part}", self.given.data / f"{part}.txt"]
        words += [f"--set={one}" for one in (*base, *sets)]
        words += [f"--set=minutes={self.given.minutes:g}", f"--set=seed={seed}"]
        report = json.loads(call(*words, "--out", out, "--json"))
        log = (out / "training.jsonl").read_text("utf-8").splitlines()
        events = [json.loads(line) for line in log]
        scale = report["valid"]["tokens"] / (
            report["valid"]["words"] + report["valid"]["lines"]
        )
        return {
            "share": self.given.share,
            "way": way["name"],
            "minutes": self.given.minutes,
            "seed": seed,
            "weights": report["parameters"],
            "epochs": round(report["epochs"], 2),
            "tokens": report["data"]["train"]["tokens_predicted"],
            "valid": round(report["valid"]["word_perplexity"], 3),
            "test": round(report["test"]["word_perplexity"], 3),
            "seconds": report["seconds"],
            # Nats a word of the same words, whatever the tokens.
            "curve": [
                [e["seconds"], round(e["valid_loss"] * scale, 4)]
                for e in events
                if e["event"] == "valid"
            ],
        }


def call(*words: Any) -> str:
    """Run `rnnlm`; return what it printed."""
    command = [*RNNLM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def plain_words(text: Path, path: Path) -> Path:
    """Write a text as Penn Treebank has it: lower case, words alone, a sentence a line.

    Args:
        text: Any English text.
        path: Where to write.
    """
    words = re.sub(r"[^a-z'.!?\s]", " ", text.read_text("utf-8").lower())
    sentences = re.split(r"[.!?]", " ".join(words.split()))
    kept = [" ".join(each.replace("'s", " 's").split()) for each in sentences]
    path.write_text("\n".join(filter(None, kept)) + "\n", encoding="utf-8")
    return path


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the means over seeds as Markdown, for each share its best way in bold."""
    groups: dict[tuple[float, float], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        if not row["set"]:
            ways = groups.setdefault((row["share"], row["minutes"]), {})
            ways.setdefault(row["way"], []).append(row)
    parts = []
    for (share, minutes), ways in sorted(groups.items()):
        parts += [
            f"{share:.0%} of the text, {minutes:g} minutes:",
            "",
            "| | weights | passes | test perplexity a word | seconds to match |",
            "|---|---|---|---|---|",
        ]
        best = min(mean(runs, "test") for runs in ways.values())
        goals = {run["seed"]: run["valid"] for run in ways.get(NOTHING, [])}
        for way, runs in ways.items():
            figure = spread([run["test"] for run in runs])
            if mean(runs, "test") == best:
                figure = f"**{figure}**"
            when = "" if way == NOTHING else reached(runs, goals)
            weights, passes = runs[0]["weights"] / 1e6, mean(runs, "epochs")
            parts.append(
                f"| {way} | {weights:.1f}M | {passes:.3g} | {figure} | {when} |"
            )
        parts.append("")
    return "\n".join(parts)


def mean(runs: list[dict[str, Any]], name: str) -> float:
    """Return the mean of a figure over runs."""
    return statistics.fmean(run[name] for run in runs)


def spread(values: list[float]) -> str:
    """Return a mean, and how far the values reach to either side."""
    middle = statistics.fmean(values)
    if len(values) == 1:
        return f"{middle:.1f}"
    return f"{middle:.1f} ({min(values):.1f} to {max(values):.1f})"


def reached(runs: list[dict[str, Any]], goals: dict[int, float]) -> str:
    """Say when runs were as good as those of their seed without anything ended."""
    when = []
    for run in runs:
        goal = goals.get(run["seed"], math.nan)
        times = [at for at, nats in run["curve"] if math.exp(nats) <= goal]
        if not times:
            return "never"
        when.append(min(times))
    return f"{statistics.fmean(when):.0f}"


if __name__ == "__main__":
    main()
