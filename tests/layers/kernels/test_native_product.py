"""bfloat16 products in C++ against NumPy, in every orientation and precision."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import needs_compiler, only_on
from tests.layers.kernels.test_native import target  # noqa: F401  (a fixture)

ORIENTATIONS = [(False, False), (False, True), (True, False), (True, True)]


def check(
    rows: int, depth: int, columns: int, transposed: tuple[bool, bool], dtypes: Any
) -> None:
    """Compare with the product of the rounded operands in float64."""
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import native_product

    rng = np.random.default_rng(rows + 7 * depth + 31 * columns)
    shapes = [(rows, depth), (depth, columns)]
    values = [jnp.asarray(rng.standard_normal(s), "bfloat16") for s in shapes]
    exact = np.asarray(values[0], np.float64) @ np.asarray(values[1], np.float64)
    operands = [
        (v.T if t else v).astype(d)
        for v, t, d in zip(values, transposed, dtypes, strict=True)
    ]
    got = native_product.product(*operands, *transposed)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, exact, atol=1e-5 * (1 + np.abs(exact).max()))


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("transposed", ORIENTATIONS)
@pytest.mark.parametrize("size", [(1, 1, 1), (5, 7, 9), (33, 801, 70), (12, 1600, 64)])
def test_equals_numpy(
    size: tuple[int, int, int], transposed: tuple[bool, bool]
) -> None:
    check(*size, transposed, ("float32", "bfloat16"))


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 90),
    depth=st.integers(1, 100),
    columns=st.integers(1, 140),
    transposed=st.sampled_from(ORIENTATIONS),
    dtypes=st.tuples(*[st.sampled_from(["float32", "bfloat16"])] * 2),
)
def test_any_size(
    rows: int, depth: int, columns: int, transposed: tuple[bool, bool], dtypes: Any
) -> None:
    only_on("jax")
    needs_compiler()
    check(rows, depth, columns, transposed, dtypes)


def test_operands_are_rounded_to_the_nearest_even() -> None:
    """1 + 2^-8 lies between two numbers of bfloat16; so does 1 + 3 * 2^-8."""
    only_on("jax")
    needs_compiler()
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import native_product

    values = jnp.asarray([[1 + 2**-8, 1 + 3 * 2**-8, np.nan, np.inf]], "float32")
    got = native_product.product(values.T, jnp.ones((1, 1)))
    expected = values.astype("bfloat16").astype("float32")
    np.testing.assert_array_equal(got[:, 0], expected[0])
    assert got[1, 0] == 1 + 2**-6


def test_matrices_that_do_not_fit_are_refused() -> None:
    only_on("jax")
    needs_compiler()
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import native_product

    with pytest.raises(jax.errors.JaxRuntimeError, match="do not fit"):
        native_product.product(jnp.ones((2, 3)), jnp.ones((4, 5))).block_until_ready()


def test_gradients_of_a_mixed_product() -> None:
    """`product` under a mixed policy, whatever kernel serves it."""
    only_on("jax")
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import jax_products

    rng = np.random.default_rng(0)
    a = jnp.asarray(rng.standard_normal((3, 4, 5)), "bfloat16")
    b = jnp.asarray(rng.standard_normal((5, 6)), "bfloat16")
    weights = rng.standard_normal((3, 4, 6))

    def loss(a: Any, b: Any) -> Any:
        return jnp.sum(jax_products.product(a, b) * weights)

    d_a, d_b = jax.grad(loss, argnums=(0, 1))(a, b)
    assert d_a.dtype == d_b.dtype == jnp.bfloat16
    wide = [np.asarray(v, np.float64) for v in (a, b)]
    np.testing.assert_allclose(
        np.asarray(d_a, np.float64), weights @ wide[1].T, rtol=0.03, atol=0.05
    )
    np.testing.assert_allclose(
        np.asarray(d_b, np.float64),
        np.einsum("ijk,ijl->kl", wide[0], weights),
        rtol=0.03,
        atol=0.05,
    )
