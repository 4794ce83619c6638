"""The scan on JAX: its gradient, and that its loop does only what depends on time."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels import ops_loop
from tests.conftest import only_on

GATED = (keras.activations.tanh, keras.activations.sigmoid)
CELLS = [
    cells.ElmanCell(keras.activations.tanh),
    cells.LSTMCell(*GATED),
    cells.GRUCell(*GATED),
    cells.ResetBeforeGRUCell(*GATED),
]


@pytest.fixture(autouse=True)
def on_jax() -> None:
    only_on("jax")


def arguments(cell: cells.Cell, steps: int, batch: int, units: int) -> tuple[Any, ...]:
    """x, state, kernel and bias, random, as JAX arrays; and a mask."""
    import jax.numpy as jnp

    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return jnp.asarray(rng.standard_normal(shape) * 0.5, "float32")

    width = cell.gates * units
    state = tuple(normal(batch, units) for _ in range(cell.states))
    mask = jnp.asarray(rng.random((steps, batch, 1)) > 0.3)
    return normal(steps, batch, width), state, normal(units, width), normal(width), mask


def differentiate(recurrence: Any, cell: cells.Cell, dtype: str, masked: bool) -> Any:
    """A function of `arguments`: gradients of a fixed combination of all results."""
    import jax
    import jax.numpy as jnp

    def loss(x: Any, state: Any, kernel: Any, bias: Any, mask: Any) -> Any:
        hidden, last = recurrence(
            cell, dtype, x, mask if masked else None, state, kernel, bias
        )
        parts = [hidden, *last]
        return sum(jnp.sum(jnp.sin(p) * (k + 1)) for k, p in enumerate(parts))

    return jax.grad(loss, argnums=(0, 1, 2, 3))


def evaluate(function: Any, values: tuple[Any, ...]) -> list[Any]:
    """Call a function of arrays, compiled; compiling takes the time, not running."""
    import jax

    options = {"xla_backend_optimization_level": 0}
    return jax.tree.leaves(jax.jit(function, compiler_options=options)(*values))


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_equals_that_of_the_plain_loop(cell: cells.Cell, masked: bool) -> None:
    from keras_rnnlm.layers.kernels import jax_scan

    values = arguments(cell, 4, 3, 2)
    plain = differentiate(ops_loop.recurrence, cell, "float32", masked)
    scan = differentiate(jax_scan.recurrence, cell, "float32", masked)
    for e, g in zip(evaluate(plain, values), evaluate(scan, values), strict=True):
        np.testing.assert_allclose(g, e, atol=2e-6)


@pytest.mark.parametrize("cell", [CELLS[1], CELLS[3]], ids=lambda c: type(c).__name__)
def test_16_bit_products_cost_little_precision(cell: cells.Cell) -> None:
    from keras_rnnlm.layers.kernels import jax_scan

    values = arguments(cell, 3, 2, 16)
    exact = differentiate(jax_scan.recurrence, cell, "float32", True)
    coarse = differentiate(jax_scan.recurrence, cell, "bfloat16", True)
    for e, g in zip(evaluate(exact, values), evaluate(coarse, values), strict=True):
        assert g.dtype == np.float32
        assert np.abs(g - e).max() < 0.02 * np.abs(e).max()


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: type(c).__name__)
def test_a_step_makes_its_products_once_and_no_others(cell: cells.Cell) -> None:
    """Forward and backward scan hold one product a block; the rest is outside."""
    import jax

    from keras_rnnlm.layers.kernels import jax_scan

    function = differentiate(jax_scan.recurrence, cell, "float32", False)
    outside, inside = count_products(
        jax.make_jaxpr(function)(*arguments(cell, 4, 3, 2)).jaxpr
    )
    blocks = len(cell.blocks)
    assert inside == [blocks, blocks]
    assert outside == blocks


def count_products(jaxpr: Any) -> tuple[int, list[int]]:
    """Products outside of scans, and the number in each scan."""
    outside, inside = 0, []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            outside += 1
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if not hasattr(inner, "eqns"):
                continue
            there, scans = count_products(inner)
            if equation.primitive.name == "scan":
                inside.append(there)
            else:
                outside, inside = outside + there, inside + scans
    return outside, inside


def test_equal_cells_share_one_compiled_function() -> None:
    from keras_rnnlm.layers.kernels import jax_scan

    for _ in range(2):
        cell = cells.LSTMCell(*GATED)
        x, state, kernel, bias, _ = arguments(cell, 5, 3, 2)
        jax_scan.recurrence(cell, "float32", x, None, state, kernel, bias)
    before = jax_scan.recurrence._cache_size()
    jax_scan.recurrence(cells.LSTMCell(*GATED), "float32", x, None, state, kernel, bias)
    assert jax_scan.recurrence._cache_size() == before
