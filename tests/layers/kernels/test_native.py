"""The C++ recurrences against float64 NumPy and the scan, on every instruction set."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels.native import build
from tests.conftest import needs_compiler, only_on
from tests.layers import reference
from tests.layers.kernels.test_jax_scan import CELLS, GATED, arguments, differentiate

SERVED = [CELLS[1], CELLS[2]]
SIZES = [(1, 1, 1), (3, 2, 3), (4, 1, 17), (2, 256, 5), (3, 20, 33), (2, 7, 130)]
# Each size with a mask or without one, two of them both ways.
CASES = [
    *((size, number % 2 == 0) for number, size in enumerate(SIZES)),
    (SIZES[1], True),
    (SIZES[4], False),
]
HERE = Path(__file__).resolve().parent


@pytest.fixture(params=list(build.TARGETS))
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use the kernels for one instruction set."""
    only_on("jax")
    needs_compiler()
    if request.param not in build.runnable_targets():
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setenv("RNNLM_NATIVE", request.param)
    from keras_rnnlm.layers.kernels.native import library

    assert library.target() == request.param
    return str(request.param)


def unjitted() -> Any:
    """The recurrence without its compiled wrapper, which knows no instruction set."""
    from keras_rnnlm.layers.kernels import native_recurrence

    return native_recurrence.recurrence.__wrapped__


@cache
def scanned(cell: cells.Cell, size: tuple[int, int, int], masked: bool) -> list[Any]:
    """Gradients of the scan, which are the same for every instruction set."""
    import jax

    from keras_rnnlm.layers.kernels import jax_scan

    scan = differentiate(jax_scan.recurrence, cell, "float32", masked)
    return jax.tree.leaves(scan(*arguments(cell, *size)))


@pytest.mark.parametrize("cell", SERVED, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize(("size", "masked"), CASES, ids=str)
def test_gradients_equal_those_of_the_scan(
    target: str, cell: cells.Cell, size: tuple[int, int, int], masked: bool
) -> None:
    import jax

    expected, values = scanned(cell, size, masked), arguments(cell, *size)
    native = differentiate(unjitted(), cell, "float32", masked)(*values)
    for e, g in zip(expected, jax.tree.leaves(native), strict=True):
        scale = 1 + np.abs(np.asarray(e)).max()
        np.testing.assert_allclose(g, e, atol=3e-6 * scale)


@pytest.mark.parametrize("cell", SERVED, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("size", [(3, 2, 3), (3, 20, 33), (2, 3, 650)], ids=str)
def test_states_equal_the_float64_reference(
    target: str, cell: cells.Cell, size: tuple[int, int, int]
) -> None:
    x, state, kernel, bias, mask = arguments(cell, *size)
    kernel = kernel / np.sqrt(size[2])
    hidden, last = unjitted()(cell, "float32", x, mask, state, kernel, bias)
    # The reference projects its input itself: an identity leaves x as it is.
    u, b = (np.asarray(v, np.float64) for v in (kernel, bias))
    lstm = isinstance(cell, cells.LSTMCell)
    weights = [np.eye(x.shape[-1]), u, b if lstm else np.stack([0 * b, b])]
    expected = reference.run(
        reference.lstm if lstm else reference.gru,
        np.asarray(x, np.float64).swapaxes(0, 1),
        [np.asarray(s, np.float64) for s in state],
        weights,
        np.asarray(mask)[:, :, 0].T,
    )
    np.testing.assert_allclose(
        np.asarray(hidden).swapaxes(0, 1), expected[0], atol=2e-6
    )
    for e, g in zip(expected[1:], last, strict=True):
        np.testing.assert_allclose(g, e, atol=2e-6)


@pytest.mark.parametrize("cell", SERVED, ids=lambda c: type(c).__name__)
def test_bfloat16_products_cost_little_precision(target: str, cell: cells.Cell) -> None:
    import jax

    values = arguments(cell, 4, 5, 40)
    values = (*values[:2], values[2] / 6, *values[3:])
    exact = differentiate(unjitted(), cell, "float32", True)(*values)
    coarse = differentiate(unjitted(), cell, "bfloat16", True)(*values)
    for e, g in zip(jax.tree.leaves(exact), jax.tree.leaves(coarse), strict=True):
        assert g.dtype == np.float32
        assert np.abs(g - e).max() < 0.03 * np.abs(e).max()
        assert np.abs(g - e).max() > 0


@pytest.mark.parametrize("cell", SERVED, ids=lambda c: type(c).__name__)
@settings(max_examples=10, deadline=None)
@given(
    steps=st.integers(1, 5),
    batch=st.integers(1, 40),
    units=st.integers(1, 70),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)
def test_any_size(
    cell: cells.Cell, steps: int, batch: int, units: int, dtype: str
) -> None:
    only_on("jax")
    needs_compiler()
    from keras_rnnlm.layers.kernels import jax_scan

    x, state, kernel, bias, mask = arguments(cell, steps, batch, units)
    kernel = kernel / np.sqrt(units)
    hidden, last = unjitted()(cell, dtype, x, mask, state, kernel, bias)
    expected = jax_scan.recurrence(cell, dtype, x, mask, state, kernel, bias)
    tolerance = 2e-6 if dtype == "float32" else 5e-3
    np.testing.assert_allclose(hidden, expected[0], atol=tolerance)
    for e, g in zip(expected[1], last, strict=True):
        np.testing.assert_allclose(g, e, atol=tolerance)


@pytest.mark.parametrize("value", [1e4, -1e4, 60.0, -100.0])
def test_extreme_inputs_saturate(target: str, value: float) -> None:
    import jax.numpy as jnp

    cell = cells.LSTMCell(*GATED)
    x, state, kernel, _, _ = arguments(cell, 3, 2, 5)
    x = jnp.full_like(x, value)
    hidden, (_, c) = unjitted()(cell, "float32", x, None, state, kernel, None)
    assert np.isfinite(hidden).all()
    if value > 0:
        np.testing.assert_allclose(c, np.asarray(state[1]) + 3, atol=1e-5)
    else:
        np.testing.assert_allclose(hidden, 0, atol=1e-30)


def test_a_number_that_is_none_stays_seen(target: str) -> None:
    cell = cells.LSTMCell(*GATED)
    x, state, kernel, _, _ = arguments(cell, 3, 2, 5)
    hidden, _ = unjitted()(
        cell, "float32", x.at[1, 0, 2].set(np.nan), None, state, kernel, None
    )
    assert np.isfinite(hidden[0]).all() and np.isfinite(hidden[:, 1]).all()
    assert np.isnan(hidden[1, 0, 2]) and np.isnan(hidden[2, 0]).all()


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    only_on("jax")
    needs_compiler()
    program = """
import hashlib, jax, numpy as np
from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels import native_adam, native_product, native_recurrence
from tests.layers.kernels.test_jax_scan import GATED, arguments
from tests.layers.kernels.test_native_adam import STEP, arrays
cell = cells.GRUCell(*GATED)
x, state, kernel, bias, mask = arguments(cell, 6, 20, 130)
results = [
    native_recurrence.recurrence(cell, dtype, x, mask, state, kernel, bias)[0]
    for dtype in ("float32", "bfloat16")
]
results.append(native_product.product(x.reshape(120, -1), kernel.T[:, :100]))
given = arrays([(3,), (300, 401), (), (1_100_000,)])
results += jax.tree.leaves(native_adam.update(*given, **STEP))
results.append(native_adam.square_sum(given[3]))
for result in results:
    print(hashlib.sha256(np.asarray(result).tobytes()).hexdigest())
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RNNLM_THREADS": threads, "PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "3")
    }
    assert len(printed) == 1


def python_path() -> str:
    root = HERE.parents[2]
    return os.pathsep.join([str(root / "src"), str(root)])


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
@pytest.mark.parametrize("source", ["check_recurrence.cc", "check_adam.cc"])
def test_sanitizers_find_nothing(source: str, sanitizer: str, tmp_path: Path) -> None:
    only_on("jax")  # of no backend, and once is enough
    needs_compiler()
    program = tmp_path / "check"
    best = build.TARGETS[build.best_target()]
    subprocess.run(
        [
            *build.compiler(),
            "-std=c++17",
            "-O1",
            "-g",
            "-pthread",
            f"-fsanitize={sanitizer}",
            "-fno-sanitize-recover=all",
            "-Wno-psabi",
            *best,
            "-I",
            str(build.SOURCES),
            str(HERE / source),
            "-o",
            str(program),
        ],
        check=True,
        capture_output=True,
    )
    # Memory is laid out afresh each time; the thread sanitizer wants it in one place.
    command = [str(program), *(["few"] if sanitizer == "thread" else [])]
    if shutil.which("setarch"):
        command = ["setarch", "-R", *command]
    environment = {**os.environ, "RNNLM_THREADS": "2"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("cases agree with the reference")


class TestBuild:
    """How the library is made, and what happens where it cannot be."""

    def test_is_made_once(self) -> None:
        only_on("jax")
        needs_compiler()
        import jax

        include = jax.ffi.include_dir()
        best = build.best_target()  # which other tests need too
        path = build.build(best, include)
        before = path.stat().st_mtime_ns
        assert build.build(best, include) == path
        assert path.stat().st_mtime_ns == before
        keys = [build._key(("g++",), include, (o,)) for o in ("-O3", "-O2")]
        assert keys[0] != keys[1]

    def test_without_a_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(build.BuildError, match="no-such-compiler"):
            build.compiler()

    def test_a_command_with_arguments(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("wrapper", "a compiler"):
            (tmp_path / name).write_text("#!/bin/sh\n")
            (tmp_path / name).chmod(0o755)
        whole, wrapper = str(tmp_path / "a compiler"), str(tmp_path / "wrapper")
        monkeypatch.setenv("CXX", whole)
        assert build.compiler() == (whole,)
        monkeypatch.setenv("CXX", f"{wrapper} g++ '-D A'")
        assert build.compiler() == (wrapper, "g++", "-D A")
        keys = [build._key((wrapper, *more), "/nowhere", ()) for more in ((), ("g++",))]
        assert keys[0] != keys[1]
        monkeypatch.setenv("CXX", f"{wrapper} 'g++")
        with pytest.raises(build.BuildError, match=r"no C\+\+ compiler"):
            build.compiler()

    def test_a_failing_compiler_is_quoted(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bad = tmp_path / "cxx"
        bad.write_text(
            "#!/bin/sh\necho 'kernel.cc:1: error: no such thing' >&2\nexit 3\n"
        )
        bad.chmod(0o755)
        monkeypatch.setenv("CXX", str(bad))
        with pytest.raises(build.BuildError, match="exit code 3: .*no such thing"):
            build.build("portable", "/nowhere", tmp_path / "cache")
        assert not any((tmp_path / "cache").glob("*.so"))

    def test_xla_takes_over_and_one_line_says_so(self) -> None:
        only_on("jax")
        program = """
import keras
from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernels import dispatch
cell = cells.LSTMCell(keras.activations.tanh, keras.activations.sigmoid)
print([dispatch.choose(cell, "float32", False, False) for _ in range(3)])
"""
        environment = {
            **os.environ,
            "CXX": "no-such-compiler",
            "PYTHONPATH": python_path(),
        }
        environment.pop("RNNLM_NATIVE", None)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(["jax-scan"] * 3)
        (line,) = (x for x in done.stderr.splitlines() if "kernels" in x)
        assert "no C++ compiler (no-such-compiler) was found" in line

    def test_can_be_turned_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        only_on("jax")
        from keras_rnnlm.layers.kernels.native import library

        monkeypatch.setenv("RNNLM_NATIVE", "off")
        assert not library.available()
        monkeypatch.setenv("RNNLM_NATIVE", "fast")
        with pytest.raises(ConfigError, match="received 'fast'"):
            library.available()

    @pytest.mark.parametrize(("unit", "expected"), [(True, "amx"), (False, "avx512")])
    def test_tiles_are_for_processors_and_systems_that_lend_them(
        self, unit: bool, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flags = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})
        monkeypatch.setattr(build, "processor_flags", lambda: flags)
        monkeypatch.setattr(build, "has_matrix_unit", lambda: unit)
        assert build.best_target() == expected

    def test_instructions_that_the_processor_lacks_are_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They would end the process with an illegal instruction."""
        only_on("jax")
        from keras_rnnlm.layers.kernels.native import library

        monkeypatch.setattr(build, "best_target", lambda: "avx2")
        monkeypatch.setenv("RNNLM_NATIVE", "avx512")
        with pytest.raises(ConfigError, match=r"off, avx2, portable or unset on this"):
            library.target()


@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        (cells.ElmanCell(GATED[0]), "float32"),
        (cells.ResetBeforeGRUCell(*GATED), "float32"),
        (cells.LSTMCell(*GATED), "float64"),
        (cells.LSTMCell(*GATED), "float16"),
        (cells.LSTMCell(GATED[1], GATED[1]), "float32"),
    ],
)
def test_what_the_kernels_do_not_serve(cell: cells.Cell, dtype: str) -> None:
    only_on("jax")
    from keras_rnnlm.layers.kernels import native_recurrence

    assert not native_recurrence.serves(cell, dtype)


def test_arrays_divided_among_devices_are_left_to_xla(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only_on("jax")
    import keras

    from keras_rnnlm.layers.kernels import dispatch, native_product, softmax
    from keras_rnnlm.layers.kernels.native import library

    def choices() -> tuple[str, str, bool]:
        loop = dispatch.choose(cells.LSTMCell(*GATED), "float32", False, False)
        return loop, softmax.choose("float32"), native_product.serves("bfloat16")

    # As on a processor that has them all; nothing is compiled or called.
    monkeypatch.setattr(library, "target", lambda: "avx512")
    monkeypatch.setattr(native_product, "processor_flags", lambda: {"avx512_bf16"})
    assert choices() == ("native", "native", True)
    monkeypatch.setattr(keras.distribution, "distribution", lambda: "some devices")
    assert choices() == ("jax-scan", "chunks", False)
