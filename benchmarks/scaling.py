"""Cost as work grows: time a token by units, by vocabulary and by size of the text.

    python benchmarks/scaling.py --json scaling.json --plot scaling.png

A file that exists is gone on with: points that it has are not measured again, so a long
series can be measured in pieces (`--only`, `--at-most`).
"""

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.bench.process import Process
from keras_rnnlm.bench.synthetic import zipf_ids
from keras_rnnlm.bench.versions import versions
from keras_rnnlm.bench.workloads import Workload
from keras_rnnlm.machine import machine

UNITS = (128, 192, 256, 384, 512, 650, 768, 1024, 1280, 1500)
VOCABULARIES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
MEGABYTES = (1, 10, 100, 1000)
KINDS = ("word", "char")
DTYPES = ("float32", "bfloat16")
SERIES = ("units", "vocabulary", "text")

TURNS = 3

Point = dict[str, Any]


def models(series: str, sizes: Sequence[int]) -> Iterator[tuple[int, Workload]]:
    """Yield the models of a series: two layers of LSTM and few words; many words."""
    for size in sizes:
        if series == "units":
            yield size, Workload("units", ("training",), 1_000, size, 2, 32, 35)
        else:
            yield size, Workload("vocabulary", ("training",), size, 256, 1, 20, 35)


def training_point(
    series: str, size: int, model: Workload, dtype: str, seconds: float
) -> Point:
    """Train for a while in a process of its own; the median of some turns counts."""
    specification = {
        "task": "training",
        "family": "ours",
        "dtype": dtype,
        "workload": model.to_dict(),
    }
    with Process(specification, "jax") as process:
        process.wait()
        runs = [process.ask({"seconds": seconds}) for _ in range(TURNS)]
    rates = [run["seconds"] / run["tokens"] for run in runs]
    token = statistics.median(rates)
    return {
        "series": series,
        "size": size,
        "kind": dtype,
        "microseconds": 1e6 * token,
        "from": 1e6 * min(rates),
        "to": 1e6 * max(rates),
        "gflops": model.flops("training") / token / 1e9,
        "loops": runs[-1]["loops"],
        "batch": model.batch,
        "steps": model.steps,
        "layers": model.layers,
        "units": model.units,
        "vocabulary": model.vocabulary,
    }


def text_point(megabytes: int, kind: str) -> Point:
    """Encode and read a text of this size, in a process of its own."""
    command = [sys.executable, __file__, "--one-text", str(megabytes), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stderr}")
    point: Point = json.loads(done.stdout)
    return point


def one_text(megabytes: int, kind: str) -> Point:
    """Measure vocabulary, encoding, batches and memory with a made-up text.

    Args:
        megabytes: Size of the text.
        kind: Kind of tokenizer, `word` or `char`.

    Returns:
        Microseconds a token for each part of the way from a file to a batch, and the
        most memory that this process held, in megabytes, before and after.
    """
    import keras_rnnlm  # noqa: F401  (before Keras: it settles the backend)
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.streams import StreamBatches
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.data.tokenizers import train_tokenizer

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_text(folder / "text.txt", megabytes * 1_000_000)
        files = find_files([folder / "text.txt"])
        before = _peak_megabytes()
        begun = time.perf_counter()
        tokenizer = train_tokenizer(files, kind=kind)
        counted = time.perf_counter()
        text = encode_files(files, tokenizer, cache=folder / "cache")
        encoded = time.perf_counter()
        tokens = len(text.ids)
        batches = StreamBatches(text, 20, 35, endless=True)
        random = np.random.default_rng(0)
        asked = random.integers(batches.batches_per_epoch, size=2_000).tolist()
        fetching = time.perf_counter()
        for index in asked:
            batches[index]
        fetched = time.perf_counter()
        after = _peak_megabytes()
    seconds = {
        "vocabulary": (counted - begun) / tokens,
        "encoding": (encoded - counted) / tokens,
        "batches": (fetched - fetching) / (len(asked) * batches.tokens_per_batch),
    }
    return {
        "series": "text",
        "size": megabytes,
        "kind": kind,
        "microseconds": 1e6 * sum(seconds.values()),
        "parts": {part: 1e6 * value for part, value in seconds.items()},
        "tokens": tokens,
        "vocabulary": tokenizer.vocabulary_size,
        "memory_before": before,
        "memory_after": after,
    }


def write_text(path: Path, size: int) -> None:
    """Write lines of words whose frequencies fall as 1 / rank, `size` bytes of them."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
    lengths = random.integers(2, 10, 50_000)
    words = ["".join(random.choice(letters, length)) for length in lengths]
    written = 0
    with path.open("w", encoding="ascii") as stream:
        block = 0
        while written < size:
            ids = zipf_ids(20_000, len(words), seed=block)
            lines = (
                " ".join(words[i] for i in ids[at : at + 20].tolist())
                for at in range(0, len(ids), 20)
            )
            piece = "\n".join(lines) + "\n"
            written += stream.write(piece[: max(size - written, 1)])
            block += 1


def missing_points(
    points: Sequence[Point],
    only: Sequence[str],
    sizes: dict[str, Sequence[int]],
    seconds: float,
) -> Iterator[Callable[[], Point]]:
    """Yield what is still to be measured, each as a function that does it."""
    known = {(point["series"], point["size"], point["kind"]) for point in points}
    for series in ("units", "vocabulary"):
        if series not in only:
            continue
        for size, model in models(series, sizes[series]):
            for dtype in DTYPES:
                if (series, size, dtype) not in known:
                    a = (series, size, model, dtype, seconds)
                    yield lambda a=a: training_point(*a)
    if "text" in only:
        for size in sizes["text"]:
            for kind in KINDS:
                if ("text", size, kind) not in known:
                    yield lambda a=(size, kind): text_point(*a)


def bends(facts: dict[str, Any]) -> dict[str, list[tuple[float, str]]]:
    """Return where a cache of this machine is full: sizes and what is full there.

    Args:
        facts: As from `keras_rnnlm.machine.machine`.
    """
    cores, caches = facts["cores"], facts["caches"]
    found: dict[str, list[tuple[float, str]]] = {"units": [], "vocabulary": []}
    if "L2" in caches:
        for width, name in ((4, "float32"), (2, "bfloat16")):
            # One core's share of a layer's recurrent matrix, 4 units^2 elements.
            units = (caches["L2"] * cores / (4 * width)) ** 0.5
            found["units"].append((units, f"a core's {name} weights fill L2"))
    if "L3" in caches:
        # Input and recurrent matrices of two layers in float32, 16 units^2 elements.
        units = (caches["L3"] / (16 * 4)) ** 0.5
        found["units"].append((units, "both layers' float32 weights fill L3"))
        words = caches["L3"] / (256 * 4)
        found["vocabulary"].append((words, "the float32 output matrix fills L3"))
    return found


def lines(record: dict[str, Any]) -> list[str]:
    """Return the points as lines for people."""
    said = [f"{'series':>10} {'size':>8} {'kind':>9} {'us/token':>10}  more"]
    for point in ordered(record["points"]):
        if "gflops" in point:
            more = f"{point['gflops']:.0f} GFLOP/s, loop {point['loops'][0]}"
        else:
            parts = ", ".join(f"{k} {v:.3f}" for k, v in point["parts"].items())
            grown = point["memory_after"] - point["memory_before"]
            more = f"{parts}; memory +{grown:.0f} MB"
        said.append(
            f"{point['series']:>10} {point['size']:>8,} {point['kind']:>9} "
            f"{point['microseconds']:>10.3f}  {more}"
        )
    return said


def ordered(points: Sequence[Point]) -> list[Point]:
    """Return points by series, kind and size."""
    return sorted(
        points, key=lambda p: (SERIES.index(p["series"]), p["kind"], p["size"])
    )


def draw(record: dict[str, Any], path: str) -> None:
    """Draw the three series into a PNG file, on logarithmic axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullLocator

    labels = {
        "units": "units (LSTM, 2 layers, vocabulary 1,000)",
        "vocabulary": "vocabulary (LSTM, 1 x 256)",
        "text": "megabytes of text",
    }
    shown = [s for s in SERIES if any(p["series"] == s for p in record["points"])]
    figure = Figure(figsize=(5 * len(shown), 4.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, series in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
    ):
        points = [p for p in ordered(record["points"]) if p["series"] == series]
        for kind in dict.fromkeys(point["kind"] for point in points):
            these = [point for point in points if point["kind"] == kind]
            axes.plot(
                [point["size"] for point in these],
                [point["microseconds"] for point in these],
                marker="o",
                label=kind,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_xlim()
        for size, why in bends(record["machine"]).get(series, []):
            if low < size < high:
                axes.axvline(size, color="#bbbbbb", linewidth=0.9, linestyle=":")
                axes.text(
                    size,
                    0.02,
                    f"{why} ({size:,.0f})",
                    rotation=90,
                    transform=axes.get_xaxis_transform(),
                    fontsize=7,
                    color="#8a8a8a",
                    ha="right",
                    va="bottom",
                )
        what = "from file to batch" if series == "text" else "of training"
        axes.set_ylabel(f"microseconds a token {what}")
        axes.set_xlabel(labels[series])
        axes.grid(which="both", color="#eeeeee", linewidth=0.5)
        sizes = sorted({point["size"] for point in points})
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which(FuncFormatter(_round_number))
        axes.legend(frameon=False)
    figure.savefig(path, format="png")


def _round_number(value: float, _: int) -> str:
    """Return 1, 2 or 5 times a power of ten as it is written, nothing for others."""
    first = f"{value:e}"[0]
    return f"{value:,g}" if first in "125" else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=SERIES, action="append")
    parser.add_argument("--units", type=int, nargs="+", default=UNITS)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=VOCABULARIES)
    parser.add_argument("--megabytes", type=int, nargs="+", default=MEGABYTES)
    parser.add_argument(
        "--at-most", type=float, metavar="SECONDS", help="begin no point after these"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="length of a turn of training"
    )
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE.png")
    parser.add_argument("--one-text", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(typed)
    keep_freed_memory()
    if given.one_text:
        print(json.dumps(one_text(int(given.one_text[0]), given.one_text[1])))
        return 0
    record: dict[str, Any] = {
        "kind": "scaling",
        "format": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/scaling.py", *typed]),
        "machine": machine(),
        "versions": versions(),
        "points": [],
    }
    if given.json and Path(given.json).exists():
        record["points"] = json.loads(Path(given.json).read_text("utf-8"))["points"]
    begun = time.monotonic()
    sizes = {
        "units": given.units,
        "vocabulary": given.vocabularies,
        "text": given.megabytes,
    }
    for measure in missing_points(
        record["points"], given.only or SERIES, sizes, given.seconds
    ):
        if given.at_most and time.monotonic() - begun > given.at_most:
            print("more points are left for another run", file=sys.stderr)
            break
        record["points"].append(measure())
        print(lines({**record, "points": record["points"][-1:]})[1], file=sys.stderr)
        if given.json:
            Path(given.json).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print("\n".join(lines(record)))
    if given.plot and record["points"]:
        draw(record, given.plot)
    return 0


def _peak_megabytes() -> float:
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    sys.exit(main())
