"""How fast this machine multiplies large matrices and reads weights: the ceilings.

Runs in a process of its own for each library (`worker`). A `Library` takes turns with
the other libraries' like any contestant; the best figure of all is the machine's.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

# (M, K, N) of A (M, K) times B (K, N). Two are products of the standard models: the
# input projection of 20 x 35 positions and the output layer of 64 x 35.
SHAPES = (
    (700, 650, 2600),
    (2240, 650, 10000),
    (2048, 2048, 2048),
    (8192, 512, 2048),
)
DTYPES = ("float32", "bfloat16")
Product = Callable[[], None]


class Library(ABC):
    """Makes matrix products of one library."""

    name: str

    def __init__(self) -> None:
        """Multiply nothing yet."""
        self._products: dict[tuple[tuple[int, int, int], str], Product] = {}

    @abstractmethod
    def product(self, shape: tuple[int, int, int], dtype: str) -> Product:
        """Return a function that multiplies two random matrices and waits."""

    @abstractmethod
    def read(self, rows: int, columns: int) -> Product:
        """Return a function that reads a float32 matrix once: times a vector."""

    def rates(self, seconds: float) -> list[dict[str, Any]]:
        """Return operations a second for every shape and type.

        Args:
            seconds: How long to go on with each.

        Returns:
            Rows of library, shape, dtype and `flops`, the median of single products.
        """
        rows = []
        for dtype in DTYPES:
            for shape in SHAPES:
                rows.append(self.rate(shape, dtype, seconds))
        return rows

    def rate(
        self, shape: tuple[int, int, int], dtype: str, seconds: float
    ) -> dict[str, Any]:
        """Return operations a second for one shape and type; see `rates`."""
        key = (shape, dtype)
        if key not in self._products:
            self._products[key] = self.product(shape, dtype)
        took = _median_seconds(self._products[key], seconds)
        return {
            "library": self.name,
            "shape": list(shape),
            "dtype": dtype,
            "flops": 2.0 * shape[0] * shape[1] * shape[2] / took,
        }

    def bandwidth(self, weights: int, seconds: float) -> dict[str, Any]:
        """Return bytes a second when the same float32 weights are read again and again.

        Args:
            weights: Bytes of the weights; a cache that holds them is used.
            seconds: How long to go on.
        """
        columns = 512
        rows = max(weights // (4 * columns), 1)
        took = _median_seconds(self.read(rows, columns), seconds)
        return {
            "library": self.name,
            "bytes": weights,
            "bytes_per_second": 4.0 * rows * columns / took,
        }


class JaxLibrary(Library):
    """Products of XLA, sums in float32."""

    name = "jax"

    def product(self, shape: tuple[int, int, int], dtype: str) -> Product:
        """See `Library`."""
        import jax
        import jax.numpy as jnp

        m, k, n = shape
        a = jnp.asarray(_random(m, k)).astype(dtype)
        b = jnp.asarray(_random(k, n)).astype(dtype)

        @jax.jit
        def multiply(a: Any, b: Any) -> Any:
            return jnp.matmul(a, b, preferred_element_type=jnp.float32)

        return lambda: _discard(multiply(a, b).block_until_ready())

    def read(self, rows: int, columns: int) -> Product:
        """See `Library`."""
        import jax
        import jax.numpy as jnp

        a, v = jnp.asarray(_random(rows, columns)), jnp.asarray(_random(columns, 1))
        multiply = jax.jit(jnp.matmul)
        return lambda: _discard(multiply(a, v).block_until_ready())


class TorchLibrary(Library):
    """Products of PyTorch, results in the operands' type."""

    name = "torch"

    def product(self, shape: tuple[int, int, int], dtype: str) -> Product:
        """See `Library`."""
        import torch

        m, k, n = shape
        a = torch.from_numpy(_random(m, k)).to(getattr(torch, dtype))
        # A weight matrix as PyTorch keeps it: (N, K), transposed in the product.
        b = torch.from_numpy(_random(n, k)).to(getattr(torch, dtype)).T
        return lambda: _discard(torch.mm(a, b))

    def read(self, rows: int, columns: int) -> Product:
        """See `Library`."""
        import torch

        a = torch.from_numpy(_random(rows, columns))
        v = torch.from_numpy(_random(columns, 1))[:, 0]
        return lambda: _discard(torch.mv(a, v))


class NumpyLibrary(Library):
    """NumPy's matrix product, and a reading thread on each core."""

    name = "numpy"

    def __init__(self, threads: int) -> None:
        """Start the threads."""
        super().__init__()
        self._threads = ThreadPoolExecutor(threads)
        self._count = threads

    def product(self, shape: tuple[int, int, int], dtype: str) -> Product:
        """See `Library`; NumPy has float32 alone."""
        m, k, n = shape
        a, b = _random(m, k), _random(k, n)
        return lambda: _discard(a @ b)

    def read(self, rows: int, columns: int) -> Product:
        """See `Library`; each thread scans its share for the largest element."""
        shares = np.array_split(_random(rows, columns), self._count)
        return lambda: _discard(list(self._threads.map(np.max, shares)))

    def rates(self, seconds: float) -> list[dict[str, Any]]:
        """Return nothing: its products are those of the others, or slower."""
        return []


def library(name: str, threads: int) -> Library:
    """Return the library of that name."""
    if name == "numpy":
        return NumpyLibrary(threads)
    return {"jax": JaxLibrary, "torch": TorchLibrary}[name]()


def _median_seconds(work: Product, seconds: float) -> float:
    work()  # compiles, and fetches what is to be fetched
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not took:
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def _random(rows: int, columns: int) -> Any:
    values = np.random.default_rng(0).random((rows, columns), np.float32)
    return values - np.float32(0.5)


def _discard(_: Any) -> None:
    """Let a result go: it has been computed by now."""
