"""The linear scan on JAX against a loop in float64, in both of its forms."""

from typing import Any

import numpy as np
import pytest

from tests.conftest import only_on
from tests.layers.reference import derivatives

SHAPE = (9, 2, 3)


@pytest.fixture(autouse=True)
def on_jax() -> None:
    only_on("jax")


def arrays(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(-1, 1, SHAPE),
        rng.standard_normal(SHAPE),
        rng.standard_normal(SHAPE[1:]),
    ]


def loop(a: np.ndarray, b: np.ndarray, h: np.ndarray) -> np.ndarray:
    hidden = []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        hidden.append(h)
    return np.stack(hidden)


@pytest.mark.parametrize("form", ["_step_by_step", "_associative"])
@pytest.mark.parametrize("reverse", [False, True])
def test_forms_equal_the_loop(form: str, reverse: bool) -> None:
    """The tree is for other devices than a CPU, and right here too."""
    from keras_rnnlm.layers.kernels import jax_linear

    a, b, h = arrays()
    turn = slice(None, None, -1 if reverse else 1)
    expected = loop(a[turn], b[turn], h)[turn]
    single = [each.astype("float32") for each in (a, b, h)]
    found: Any = getattr(jax_linear, form)(*map(_tensor, single), reverse)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["_step_by_step", "_associative"])
def test_gradient_is_that_of_the_loop(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import jax_linear

    monkeypatch.setattr(jax_linear, "_scan", getattr(jax_linear, form))
    values = arrays(1)
    weight = np.random.default_rng(2).standard_normal(SHAPE)

    def loss(a: Any, b: Any, h: Any) -> Any:
        return jnp.sum(jax_linear.linear_scan(a, b, h) * weight.astype("float32"))

    found = jax.grad(loss, argnums=(0, 1, 2))(
        *(_tensor(each.astype("float32")) for each in values)
    )
    expected = derivatives(lambda each: (loop(*each) * weight).sum(), values)
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


def _tensor(array: np.ndarray) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(array)
