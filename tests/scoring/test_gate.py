import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.experts import fit_weights, mix
from keras_rnnlm.scoring.gate import Gate, fit_gate, lbfgs, minimise_loss


def two_experts(n: int = 4000, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Experts of which one is good where the first feature is high, one elsewhere."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) * [1, 7] + [3, -40]
    right = x[:, 0] > 3
    sure, unsure = np.log(0.6), np.log(0.05)
    return [np.where(right, sure, unsure), np.where(right, unsure, sure)], x


def test_the_gate_learns_whom_to_trust_where() -> None:
    experts, x = two_experts()
    fit = fit_gate(experts, x)
    assert fit.gains.shape == (4000 // 3,)
    assert fit.gains.mean() == pytest.approx(fit.constant_loss - fit.loss)
    assert fit.loss < fit.constant_loss - 0.3
    fresh, y = two_experts(seed=1)
    gated = fit.gate.mix(fresh, y).mean()
    assert -gated == pytest.approx(fit.loss, abs=0.05)
    assert gated > mix(fresh, fit_weights(fresh).tolist()).mean() + 0.3
    weights = np.exp(fit.gate.log_weights(np.array([[5.0, -40], [1.0, -40]])))
    assert weights[0, 0] > 0.9
    assert weights[0, 1] < 0.1


def test_what_a_gate_is_worth_is_of_text_it_was_not_fitted_on() -> None:
    experts, x = two_experts(300)
    fit = fit_gate(experts, x, strengths=[1e-3])
    first = [expert[:200] for expert in experts]
    last = [expert[200:] for expert in experts]
    gate = minimise_loss(np.stack(first), x[:200], 1e-3)
    np.testing.assert_allclose(fit.logs, gate.mix(last, x[200:]))
    constant = mix(last, fit_weights(first).tolist())
    np.testing.assert_allclose(fit.constant_logs, constant)


def test_the_least_loss_is_that_of_a_grid() -> None:
    rng = np.random.default_rng(2)
    logs = np.log(rng.uniform(0.01, 1, (2, 300)))
    x = rng.normal(size=(300, 1))
    logs[0] += 0.8 * x[:, 0]
    logs = np.minimum(logs, 0)
    strength = 1e-3
    gate = minimise_loss(logs, x, strength)
    z = (x[:, 0] - gate.mean) / gate.deviation

    def loss(slope: np.ndarray, bias: np.ndarray) -> np.ndarray:
        w = 1 / (1 + np.exp(-(slope[..., None] * z + bias[..., None])))
        p = w * np.exp(logs[0]) + (1 - w) * np.exp(logs[1])
        # Two rows of half the slope each are the cheapest way to a difference.
        return -np.log(p).mean(axis=-1) + strength * slope**2 / 4

    slopes, biases = np.meshgrid(np.linspace(-6, 6, 121), np.linspace(-6, 6, 121))
    best = loss(slopes, biases).min()
    slope = gate.matrix[0] - gate.matrix[1]
    found = loss(slope, np.diff(gate.bias[::-1]))[0]
    assert found <= best + 1e-6
    np.testing.assert_allclose(gate.matrix.sum(axis=0), 0, atol=1e-3)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    experts=st.integers(2, 4),
    features=st.integers(1, 3),
)
def test_the_fit_is_never_worse_than_constant_weights(
    seed: int, experts: int, features: int
) -> None:
    rng = np.random.default_rng(seed)
    logs = np.log(rng.uniform(1e-6, 1, (experts, 80)))
    x = rng.normal(size=(80, features))
    gate = minimise_loss(logs, x, 1e-3)
    constant = mix(list(logs), fit_weights(list(logs)).tolist()).mean()
    # A search may not begin with a weight of nothing.
    assert gate.mix(list(logs), x).mean() >= constant - 1e-3
    weights = np.exp(gate.log_weights(x))
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-12)


def test_an_expert_may_rule_out_a_token() -> None:
    logs = np.log(np.random.default_rng(0).uniform(0.1, 1, (2, 40)))
    logs[1, ::4] = -np.inf
    x = (np.arange(40) % 4 == 0).astype(float)[:, None]
    fit = fit_gate(list(logs), x)
    assert np.isfinite(fit.loss)
    assert np.isfinite(fit.gate.mix(list(logs), x)).all()


def test_a_feature_that_never_changes_is_harmless() -> None:
    experts, x = two_experts(400)
    x = np.column_stack([x, np.full(len(x), 5.0)])
    assert np.isfinite(fit_gate(experts, x).gate.mix(experts, x)).all()


def test_a_gate_comes_back_from_json() -> None:
    experts, x = two_experts(400)
    gate = fit_gate(experts, x).gate
    again = Gate.from_dict(json.loads(json.dumps(gate.to_dict())))
    np.testing.assert_array_equal(again.mix(experts, x), gate.mix(experts, x))


def test_the_descent_finds_the_bottom_of_a_valley() -> None:
    def rosenbrock(p: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = p[0], p[1]
        value = (1 - a) ** 2 + 100 * (b - a * a) ** 2
        slope = [-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)]
        return float(value), np.array(slope)

    np.testing.assert_allclose(
        lbfgs(rosenbrock, np.array([-1.2, 1.0])), [1, 1], atol=1e-3
    )


def test_what_cannot_be_fitted_is_refused() -> None:
    experts, x = two_experts(100)
    with pytest.raises(InputError, match="longer text"):
        fit_gate([expert[:2] for expert in experts], x[:2])
    with pytest.raises(InputError, match="100 predictions.*received .50, 100."):
        fit_gate([experts[0], experts[1][:50]], x)
    with pytest.raises(InputError, match="finite"):
        fit_gate(experts, np.where(x > 3, np.inf, x))
    with pytest.raises(ValueError, match="a strength at least"):
        fit_gate(experts, x, strengths=())
    gate = fit_gate(experts, x).gate
    with pytest.raises(InputError, match=r"\(predictions, 2\), received \(100, 1\)"):
        gate.log_weights(x[:, :1])
    with pytest.raises(InputError, match="Expected 2 experts.*received 3"):
        gate.mix([*experts, experts[0]], x)
