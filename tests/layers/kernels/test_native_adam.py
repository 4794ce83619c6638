"""Clipping's sum and Adam in C++ against float64 NumPy, on every instruction set."""

from typing import Any

import numpy as np
import pytest

from tests.conftest import needs_compiler, only_on
from tests.layers.kernels.test_native import target  # noqa: F401  (a fixture)

SIZES = (0, 1, 3, 15, 16, 17, 1000, 100_003)
STEP = {
    "rate": 0.01,
    "scale": 0.5,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-7,
    "decay": 0.001,
}


def arrays(sizes: Any, seed: int = 0) -> list[list[np.ndarray]]:
    """Parameters, momentums, velocities, gradients."""
    rng = np.random.default_rng(seed)
    made = [[rng.standard_normal(s).astype("float32") for s in sizes] for _ in range(4)]
    made[2] = [np.abs(v) for v in made[2]]
    return made


def reference(given: Any, step: dict[str, float]) -> list[list[np.ndarray]]:
    """The equations of Kingma & Ba and of Loshchilov & Hutter, in float64."""
    new: list[list[np.ndarray]] = [[], [], []]
    for p, m, v, g in zip(*given, strict=True):
        p, m, v, g = (np.asarray(array, "float64") for array in (p, m, v, g))
        g = g * step["scale"]
        m = step["beta_1"] * m + (1 - step["beta_1"]) * g
        v = step["beta_2"] * v + (1 - step["beta_2"]) * g**2
        p = p - p * step["decay"]
        p = p - step["rate"] * m / (np.sqrt(v) + step["epsilon"])
        for kind, array in zip(new, (p, m, v), strict=True):
            kind.append(array)
    return new


def check(given: Any, **changed: float) -> None:
    """Compare a step with the reference."""
    from keras_rnnlm.layers.kernels import native_adam

    step = {**STEP, **changed}
    found = native_adam.update(*given, **step)
    for kind, wanted in zip(found, reference(given, step), strict=True):
        for now, array in zip(kind, wanted, strict=True):
            assert now.shape == array.shape
            np.testing.assert_allclose(now, array, rtol=2e-6, atol=1e-6)


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("size", SIZES)
def test_a_step_of_one_array(size: int) -> None:
    from keras_rnnlm.layers.kernels import native_adam

    given = arrays([(size,)])
    check(given)
    check(given, decay=0.0, scale=1.0)
    wanted = np.square(np.asarray(given[3][0], "float64")).sum()
    found = native_adam.square_sum(given[3])
    assert found.shape == () and found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=2e-7)


@pytest.mark.usefixtures("target")
def test_a_step_of_many_arrays() -> None:
    from keras_rnnlm.layers.kernels import native_adam

    given = arrays([(0,), (), (7, 11), (1100, 1000), (4096,), (1,), (0, 3), (4097,)])
    check(given)
    wanted = sum(np.square(np.asarray(g, "float64")).sum() for g in given[3])
    np.testing.assert_allclose(native_adam.square_sum(given[3]), wanted, rtol=2e-7)


@pytest.mark.usefixtures("target")
def test_what_is_given_away_takes_the_result_and_nothing_else_changes() -> None:
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import native_adam

    given = [[jnp.asarray(a) for a in kind] for kind in arrays([(50, 7), (9,)])]
    before = jax.tree.map(lambda array: np.array(array), given)

    def step(kept: Any, gradients: Any) -> Any:
        scale = 1 / jnp.sqrt(native_adam.square_sum(gradients))
        return native_adam.update(*kept, gradients, **{**STEP, "scale": scale})

    kept = jax.jit(step)(given[:3], given[3])
    for now, then in zip(jax.tree.leaves(given), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(now, then)
    donated = jax.jit(step, donate_argnums=0)
    program = donated.lower(given[:3], given[3]).compile().as_text()
    copies = [line for line in program.splitlines() if " copy(" in line]
    assert not [line for line in copies if "f32[50,7]" in line or "f32[9]" in line]
    places = [array.unsafe_buffer_pointer() for array in jax.tree.leaves(given[:3])]
    new = donated(given[:3], given[3])
    assert [a.unsafe_buffer_pointer() for a in jax.tree.leaves(new)] == places
    for now, then in zip(jax.tree.leaves(new), jax.tree.leaves(kept), strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.usefixtures("target")
def test_numbers_below_the_smallest_normal_one_become_zero() -> None:
    from keras_rnnlm.layers.kernels import native_adam

    tiny = np.float32(1e-39)
    for size in (1, 1_100_003):
        zero, one = np.zeros(size, "float32"), np.ones(size, "float32")
        small = np.full(size, tiny)
        assert (small > 0).all() and (small * np.float32(0.5) > 0).all()
        (p,), (m,), (v,) = native_adam.update([one], [small], [small], [zero], **STEP)
        assert not np.any(m) and not np.any(v)
        np.testing.assert_allclose(p, 0.999, rtol=1e-6)
    assert tiny * np.float32(0.5) > 0  # not for the rest of the process


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_no_number_stays_seen(value: float) -> None:
    from keras_rnnlm.layers.kernels import native_adam

    given = arrays([(40,), (5000,)])
    given[3][1][4321] = value
    assert not np.isfinite(native_adam.square_sum(given[3]))
    one, two = native_adam.update(*given, **STEP)[0]
    assert np.isfinite(one).all()
    assert np.flatnonzero(~np.isfinite(two)).tolist() == [4321]
    for array in native_adam.update(*given, **{**STEP, "scale": np.nan})[0]:
        assert np.isnan(array).all()


@pytest.mark.usefixtures("target")
def test_mapped_over_members_each_is_what_it_is_alone() -> None:
    import jax
    import jax.numpy as jnp

    from keras_rnnlm.layers.kernels import native_adam

    members = [arrays([(70, 1000), (), (5,), (0,)], seed) for seed in range(3)]
    scales = [0.1, 0.2, 0.3]

    def step(given: Any, scale: Any) -> Any:
        new = native_adam.update(*given, **{**STEP, "scale": scale})
        return new, native_adam.square_sum(given[3])

    stacked = jax.tree.map(lambda *each: np.stack(each), *members)
    found = jax.jit(jax.vmap(step))(stacked, jnp.asarray(scales))
    for member, (given, scale) in enumerate(zip(members, scales, strict=True)):
        wanted = jax.tree.leaves(step(given, scale))
        mine = [array[member] for array in jax.tree.leaves(found)]
        for now, array in zip(mine, wanted, strict=True):
            np.testing.assert_array_equal(now, array)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    only_on("jax")
    needs_compiler()
    import jax

    from keras_rnnlm.layers.kernels import native_adam

    p, m, v, g = arrays([(5,)])
    with pytest.raises(jax.errors.JaxRuntimeError, match="of one size"):
        jax.block_until_ready(native_adam.update(p, m, v, [g[0][:4]], **STEP))
    with pytest.raises(jax.errors.JaxRuntimeError, match="as many parameters"):
        jax.block_until_ready(native_adam.update(p, m, v, [], **STEP))
