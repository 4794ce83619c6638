"""The ceilings of this machine: found once, then measured again beside contestants."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from keras_rnnlm.bench.ceilings import DTYPES
from keras_rnnlm.bench.process import Process

Tell = Callable[[str], None]
Limit = str | int
"""The type of matrix products, or the bytes of weights that are read."""


def find_ceilings(sizes: Sequence[int], seconds: float, tell: Tell) -> dict[str, Any]:
    """Measure products in float32 and bfloat16, and the reading of weights.

    Args:
        sizes: Bytes of weights to read.
        seconds: How long to go on with each shape and size.
        tell: Called with lines for people.

    Returns:
        `ceiling`: for each type the best `flops` a second with `library` and `shape`,
        and `all` figures. `bandwidth`: for each size of weights the best
        `bytes_per_second` with its `library`.
    """
    tell("ceilings: matrix products and reading")
    names = [name for name in ("jax", "torch") if find_spec(name) is not None]
    rows: list[dict[str, Any]] = []
    reads: list[dict[str, Any]] = []
    for name in [*names, "numpy"]:
        with Process({"task": "ceiling", "library": name}, "jax") as process:
            process.wait()
            rows += process.ask({"what": "products", "seconds": seconds})["rows"]
            reads += [process.ask(_reading(size, seconds)) for size in sizes]
    best = {}
    for dtype in DTYPES:
        these = [row for row in rows if row["dtype"] == dtype]
        best[dtype] = {**max(these, key=lambda row: row["flops"]), "all": these}
        tell(f"ceiling in {dtype}: {best[dtype]['flops'] / 1e9:.0f} GFLOP/s")
    bandwidth = []
    for size in sizes:
        of_size = [row for row in reads if row["bytes"] == size]
        bandwidth.append(max(of_size, key=lambda row: row["bytes_per_second"]))
        rate = bandwidth[-1]["bytes_per_second"] / 1e9
        tell(f"reading {size / 1e6:.1f} MB: {rate:.1f} GB/s")
    return {"ceiling": best, "bandwidth": bandwidth}


class Limits:
    """What limits contestants, measured in turns with them.

    Each limit is taken with the library, and the shape, that was best at it before.
    """

    def __init__(
        self, record: dict[str, Any], stack: ExitStack, seconds: float
    ) -> None:
        """Measure nothing yet.

        Args:
            record: What `find_ceilings` returned.
            stack: Ends the processes that will be started.
            seconds: How long a turn is.
        """
        self._record, self._stack, self._seconds = record, stack, seconds
        self._processes: dict[str, Process] = {}
        self._rates: dict[Limit, list[float]] = {}

    def take_turn(self, limits: Iterable[Limit]) -> None:
        """Measure each of these limits once more."""
        for limit in limits:
            if isinstance(limit, str):
                best = self._record["ceiling"][limit]
                wish = {
                    "what": "product",
                    "shape": best["shape"],
                    "dtype": limit,
                    "seconds": self._seconds,
                }
                rate = self._process(best["library"]).ask(wish)["flops"]
            else:
                rows = self._record["bandwidth"]
                best = next(row for row in rows if row["bytes"] == limit)
                wish = _reading(limit, self._seconds)
                rate = self._process(best["library"]).ask(wish)["bytes_per_second"]
            self._rates.setdefault(limit, []).append(rate)

    def rate(self, limit: Limit) -> float:
        """Return the median of its turns: operations or bytes a second."""
        return statistics.median(self._rates[limit])

    def _process(self, library: str) -> Process:
        if library not in self._processes:
            specification = {"task": "ceiling", "library": library}
            process = self._stack.enter_context(Process(specification, "jax"))
            process.wait()
            self._processes[library] = process
        return self._processes[library]


def _reading(size: int, seconds: float) -> dict[str, Any]:
    return {"what": "bandwidth", "bytes": size, "seconds": seconds}
