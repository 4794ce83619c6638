"""The C++ kernels on several models at once, as `jax.vmap` asks for them."""

from typing import Any

import numpy as np
import pytest

from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels.native import library
from tests.conftest import only_on
from tests.layers.kernels.test_jax_scan import CELLS

Arrays = tuple[Any, ...]

# Small models are computed side by side, a thread each, or are left over; large ones
# one after another.
SMALL, LARGE = (3, 4, 17), (2, 8, 600)
CASES = [
    *(("float32", SMALL, count) for count in (1, 2, 5)),
    ("bfloat16", SMALL, 3),
    ("bfloat16", LARGE, 2),
    ("float32", LARGE, 3),
]


@pytest.fixture(autouse=True)
def _native() -> None:
    only_on("jax")
    if not library.available():
        pytest.skip("needs the compiled CPU kernels")


def floats(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return rng.normal(size=shape).astype("float32")


def equal(found: Any, wanted: list[Any]) -> None:
    """Each model's results are bit-equal to those it has alone."""
    import jax

    alone = jax.tree.map(lambda *arrays: np.stack(arrays), *wanted)
    jax.tree.map(np.testing.assert_array_equal, found, alone)


@pytest.mark.parametrize("cell", CELLS[1:3], ids=lambda c: type(c).__name__)
@pytest.mark.parametrize(("dtype", "size", "count"), CASES, ids=str)
def test_recurrences(
    cell: cells.Cell, dtype: str, size: tuple[int, int, int], count: int
) -> None:
    import jax

    from keras_rnnlm.layers.kernels.native_recurrence import recurrence

    def gradients(*given: Any) -> Any:
        def loss(*given: Any) -> Any:
            hidden, last = recurrence(cell, dtype, given[0], None, *given[1:])
            return (hidden * hidden).sum() + sum(s.sum() for s in last), hidden

        found, gradient = jax.value_and_grad(
            loss, argnums=tuple(range(len(given))), has_aux=True
        )(*given)
        return found, gradient

    models = [inputs(cell, *size, seed=i) for i in range(count)]
    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *models)
    alone = [gradients(*model) for model in models]
    results, slopes = jax.vmap(gradients)(*stacked)
    equal(results, [each[0] for each in alone])
    # The weights' gradient is a product by XLA, which for one model in a batch of one
    # adds up in another order on processors without AVX-512.
    wanted = jax.tree.map(
        lambda *arrays: np.stack(arrays), *[each[1] for each in alone]
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        slopes,
        wanted,
    )


def inputs(cell: cells.Cell, steps: int, batch: int, units: int, seed: int) -> Arrays:
    """x, state, kernel and bias of a model."""
    gates = {cells.LSTMCell: 4, cells.GRUCell: 3}[type(cell)]
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype("float32") / np.float32(units**0.5)

    state = tuple(draw(batch, units) for _ in range(2 if gates == 4 else 1))
    kernel, bias = draw(units, gates * units), draw(gates * units)
    return draw(steps, batch, gates * units), state, kernel, bias


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_products(transposed: tuple[bool, bool]) -> None:
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels.native_product import product

    a = floats(3, *((70, 33) if transposed[0] else (33, 70)))
    b = jnp.asarray(floats(3, *((50, 70) if transposed[1] else (70, 50))), "bfloat16")

    def multiply(a: Any, b: Any) -> Any:
        return product(a, b, *transposed)

    equal(jax.vmap(multiply)(a, b), [multiply(x, y) for x, y in zip(a, b, strict=True)])
    # One operand that all models share.
    shared = jax.vmap(multiply, in_axes=(0, None))(a, b[0])
    equal(shared, [multiply(x, b[0]) for x in a])


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_softmax(biased: bool, dtype: str) -> None:
    import jax

    from keras_rnnlm.layers.kernels import native_softmax

    logits, weights = floats(3, 19, 37), np.abs(floats(3, 19))
    bias = floats(3, 37) if biased else None
    targets = np.random.default_rng(0).integers(0, 37, (3, 19)).astype("int32")

    def gradient(logits: Any, bias: Any, targets: Any, weights: Any) -> Any:
        nats, correct = native_softmax.nats(logits, bias, targets)
        found = native_softmax.gradient(logits, bias, targets, weights, dtype)
        return nats, correct, found

    together = jax.vmap(gradient)(logits, bias, targets, weights)
    each = [
        gradient(logits[i], None if bias is None else bias[i], targets[i], weights[i])
        for i in range(3)
    ]
    equal(together, each)
