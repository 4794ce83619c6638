"""The output product fused with its cross entropy, against float64 NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_rnnlm.layers.kernels import chunks, softmax
from keras_rnnlm.layers.kernels.cross_entropy import sparse_cross_entropy
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from keras_rnnlm.layers.kernels.native.build import best_target
from tests.conftest import needs_compiler, only_on
from tests.layers.gradients import Gradients, call_with_gradients

NO_WEIGHTS = keras.layers.Layer()
NATIVE = ("avx512", "avx2", "portable")
LOOPS = ("chunks", *NATIVE)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to make a softmax: the backend's operations, C++ by instruction set."""
    if request.param == "chunks":
        return "chunks"
    prepare(request.param, monkeypatch)
    return "native"


def prepare(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernels of an instruction set called, or skip."""
    only_on("jax")
    needs_compiler()
    from keras_rnnlm.layers.kernels.native.build import runnable_targets

    if target not in runnable_targets():
        pytest.skip(f"this processor has no {target}")
    monkeypatch.setenv("RNNLM_NATIVE", target)


class Case:
    """Random hidden vectors, matrix, bias, targets and weights of some sizes."""

    def __init__(self, rows: int, words: int, width: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.hidden = rng.standard_normal((rows, width)).astype("float32")
        self.matrix = rng.standard_normal((words, width)).astype("float32")
        self.bias = rng.standard_normal(words).astype("float32")
        self.targets = rng.integers(0, words, rows)
        self.weights = rng.random(rows).astype("float32")

    def reference(self) -> dict[str, np.ndarray]:
        """Everything in float64, all logits at once."""
        hidden, matrix = self.hidden.astype("f8"), self.matrix.astype("f8")
        logits = hidden @ matrix.T + self.bias
        shifted = logits - logits.max(1, keepdims=True)
        probabilities = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        at = np.arange(len(hidden)), self.targets
        nats = np.log(np.exp(shifted).sum(1)) - shifted[at]
        d_logits = probabilities.copy()
        d_logits[at] -= 1
        d_logits *= self.weights[:, None].astype("f8")
        return {
            "loss": (nats * self.weights).sum(),
            "nats": nats,
            "correct": logits.argmax(1) == self.targets,
            "hidden": d_logits @ matrix,
            "matrix": d_logits.T @ hidden,
            "bias": d_logits.sum(0),
        }

    def run(
        self,
        loop: str,
        by_words: bool = True,
        rows: int | None = None,
        dtype: str = "float32",
        use_bias: bool = True,
    ) -> tuple[Gradients, Any]:
        """Gradients of 3 * loss, and outcome of an evaluation."""
        function = FusedCrossEntropy(by_words, dtype, loop, rows)
        matrix = self.matrix if by_words else np.ascontiguousarray(self.matrix.T)
        targets = ops.convert_to_tensor(self.targets, "int32")
        weights = ops.convert_to_tensor(self.weights)

        def call(hidden: Any, matrix: Any, *bias: Any) -> list[Any]:
            found = function(hidden, matrix, *(bias or [None]), targets, weights, True)
            held = [ops.stop_gradient(x) for x in (found.nats, found.correct)]
            return [found.loss, *held]

        arrays = [self.hidden, matrix] + ([self.bias] if use_bias else [])
        found = call_with_gradients(NO_WEIGHTS, call, arrays)
        tensors = [ops.convert_to_tensor(a) for a in arrays]
        evaluated = function(
            *tensors[:2], *(tensors[2:] or [None]), targets, weights, training=False
        )
        if not by_words:
            found.inputs[1] = found.inputs[1].T
        return found, evaluated


def factor() -> float:
    """What `call_with_gradients` multiplies the loss by."""
    return float(np.float32(np.random.default_rng(0).standard_normal(())))


def check(case: Case, atol: float = 2e-6, **options: Any) -> None:
    expected = case.reference()
    got, evaluated = case.run(**options)
    loss, nats, correct = got.outputs
    np.testing.assert_allclose(loss, expected["loss"], rtol=1e-5, atol=atol)
    np.testing.assert_allclose(nats, expected["nats"], rtol=1e-5, atol=atol)
    np.testing.assert_array_equal(correct, expected["correct"])
    names = ["hidden", "matrix", "bias"][: len(got.inputs)]
    for name, gradient in zip(names, got.inputs, strict=True):
        np.testing.assert_allclose(
            gradient / factor(), expected[name], rtol=1e-4, atol=atol, err_msg=name
        )
    for name in ("loss", "nats", "correct"):
        found = ops.convert_to_numpy(getattr(evaluated, name))
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=atol)


@pytest.mark.parametrize(
    ("rows", "words", "width", "most", "by_words"),
    [
        (1, 2, 1, None, True),
        (7, 33, 5, 3, True),
        (7, 33, 5, None, False),
        (12, 100, 8, 4, False),
        (5, 1, 3, 2, True),
        (3, 1000, 4, 1, False),
    ],
)
def test_equals_numpy(
    loop: str, rows: int, words: int, width: int, most: int | None, by_words: bool
) -> None:
    case = Case(rows, words, width)
    check(case, atol=1e-5, loop=loop, by_words=by_words, rows=most)


def test_without_a_bias(loop: str) -> None:
    case = Case(6, 20, 4)
    case.bias[:] = 0
    check(case, atol=1e-5, loop=loop, use_bias=False)


@settings(max_examples=10, deadline=None)
@given(
    rows=st.integers(1, 40),
    most=st.integers(1, 45),
    words=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_chunks_change_nothing(rows: int, most: int, words: int, seed: int) -> None:
    native = keras.backend.backend() == "jax" and softmax.choose("float32") == "native"
    loop = ("chunks", "native")[seed % 2 * native]
    check(Case(rows, words, 3, seed), atol=1e-5, loop=loop, rows=most)


def test_bfloat16_products_with_float32_sums(loop: str) -> None:
    case = Case(9, 50, 16)
    rounded = [
        ops.cast(ops.cast(a, "bfloat16"), "float32") for a in vars(case).values()
    ]
    case.hidden, case.matrix = (ops.convert_to_numpy(a) for a in rounded[:2])
    expected = case.reference()
    got, evaluated = case.run(loop, dtype="bfloat16", rows=4)
    # The sums that make the logits are in float32: no rounding is left in the nats.
    np.testing.assert_allclose(got.outputs[1], expected["nats"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(evaluated.nats), expected["nats"], rtol=1e-5, atol=1e-5
    )
    for name, gradient in zip(("hidden", "matrix"), got.inputs, strict=False):
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(
            gradient / factor(), expected[name], atol=8e-3 * size, err_msg=name
        )
    np.testing.assert_allclose(got.inputs[2] / factor(), expected["bias"], atol=1e-5)


def test_float16_keeps_the_weights_of_a_large_batch() -> None:
    case = Case(6, 20, 8)
    case.weights /= 1e6  # below what float16 can hold
    expected = case.reference()
    got, _ = case.run("chunks", dtype="float16")
    for name, gradient in zip(("hidden", "matrix"), got.inputs, strict=False):
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(
            gradient / factor(), expected[name], atol=1e-2 * size
        )


def test_extreme_logits(loop: str) -> None:
    case = Case(4, 19, 1)
    case.bias[:] = 0
    case.hidden = np.array([[1e4], [-1e4], [1e4], [0]], "float32")
    case.matrix = np.linspace(-1, 1, 19, dtype="float32")[:, None]
    case.targets = np.array([18, 18, 0, 3])
    # The gradient of the matrix is of the size of the hidden vectors.
    check(case, atol=5e-3, loop=loop)


def test_rows_without_weight_are_as_if_absent(loop: str) -> None:
    case = Case(8, 30, 4)
    case.weights[::2] = 0
    whole, _ = case.run(loop)
    few = Case(8, 30, 4)
    few.hidden, few.targets = few.hidden[1::2], few.targets[1::2]
    few.weights = few.weights[1::2]
    alone, _ = few.run(loop)
    np.testing.assert_array_equal(whole.inputs[0][::2], 0)
    np.testing.assert_allclose(whole.inputs[0][1::2], alone.inputs[0], atol=1e-6)
    np.testing.assert_allclose(whole.inputs[1], alone.inputs[1], atol=1e-6)


def test_a_padded_row_that_is_no_number_spoils_no_other(loop: str) -> None:
    if loop == "chunks":
        pytest.skip("0 * NaN is NaN in the backend's operations")
    case = Case(3, 40, 4)
    case.hidden[1], case.weights[1] = np.nan, 0
    got, _ = case.run(loop)
    assert np.isfinite(got.inputs[2]).all()


def test_of_equal_logits_the_first_is_the_likeliest(loop: str) -> None:
    case = Case(4, 40, 2)
    case.hidden[:] = 0
    case.bias[:] = 0
    case.bias[[5, 20, 39]] = 1
    case.targets = np.array([5, 20, 39, 0])
    got, _ = case.run(loop)
    np.testing.assert_array_equal(got.outputs[2], [1, 0, 0, 0])


def test_equals_the_unfused_gradient(loop: str) -> None:
    case = Case(11, 70, 6)
    got, _ = case.run(loop, rows=4)
    targets = ops.convert_to_tensor(case.targets, "int32")

    weights = ops.convert_to_tensor(case.weights)

    def unfused(hidden: Any, matrix: Any, bias: Any) -> Any:
        logits = ops.matmul(hidden, ops.transpose(matrix)) + bias
        return ops.sum(sparse_cross_entropy(logits, targets) * weights)

    plain = call_with_gradients(
        NO_WEIGHTS, unfused, [case.hidden, case.matrix, case.bias]
    )
    for ours, theirs in zip(got.inputs, plain.inputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_a_target_outside_the_vocabulary_is_no_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(best_target(), monkeypatch)
    case = Case(3, 7, 2)
    case.targets = np.array([1, 7, -1])
    _, found = case.run("native")
    nats = ops.convert_to_numpy(found.nats)
    assert np.isfinite(nats[0]) and np.isnan(nats[1:]).all()


@given(total=st.integers(1, 10_000), most=st.integers(1, 3000))
def test_chunks_hold_all_rows_and_waste_few(total: int, most: int) -> None:
    count, rows = chunks.split(total, most)
    assert rows <= most
    assert total <= count * rows < total + count
    if total % -(-total // most) == 0:
        assert count * rows == total


def test_chunks_are_bounded_in_bytes() -> None:
    assert chunks.rows_for(10_000) * 40_000 <= 128 << 20
    assert chunks.rows_for(100_000) == 512
    assert chunks.rows_for(1_000_000) * 4_000_000 <= 256 << 20
    assert chunks.rows_for(10**9) == 1


def test_the_choice_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    if keras.backend.backend() != "jax":
        assert softmax.choose("float32") == "chunks"
        return
    monkeypatch.setenv("RNNLM_NATIVE", "off")
    assert softmax.choose("float32") == "chunks"
    prepare(best_target(), monkeypatch)
    assert softmax.choose("float32") == softmax.choose("bfloat16") == "native"
    assert softmax.choose("float16") == softmax.choose("float64") == "chunks"
