import pytest

from keras_rnnlm.bench.ceilings import DTYPES, SHAPES, JaxLibrary, NumpyLibrary, library
from tests.conftest import needs_backend


@pytest.mark.slow
def test_rates_of_jax() -> None:
    rows = JaxLibrary().rates(0.001)
    assert [(row["dtype"], tuple(row["shape"])) for row in rows] == [
        (dtype, shape) for dtype in DTYPES for shape in SHAPES
    ]
    assert all(row["flops"] > 0 and row["library"] == "jax" for row in rows)


@pytest.mark.parametrize("name", ["jax", "numpy"])
def test_bandwidth(name: str) -> None:
    row = library(name, threads=2).bandwidth(1 << 20, 0.001)
    assert row["library"] == name
    assert row["bytes"] == 1 << 20
    assert row["bytes_per_second"] > 0


@pytest.mark.backends
def test_torch() -> None:
    needs_backend("torch")
    torch = library("torch", threads=2)
    torch.product((8, 16, 4), "bfloat16")()
    assert torch.bandwidth(1 << 16, 0.001)["library"] == "torch"


def test_numpy_multiplies_no_better_than_the_others() -> None:
    assert NumpyLibrary(1).rates(1.0) == []
