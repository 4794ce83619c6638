import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.experts import fit_weights, mix


def drawn(experts: int, predictions: int, seed: int) -> NDArray[np.float64]:
    """Probabilities of what came, some of them 0 but for the first expert's."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 1, (experts, predictions))
    p[1:][rng.random((experts - 1, predictions)) < 0.3] = 0
    return p


@settings(max_examples=20, deadline=None)
@given(experts=st.integers(1, 4), seed=st.integers(0, 999))
def test_a_mixture_is_the_mean_of_probabilities(experts: int, seed: int) -> None:
    p = drawn(experts, 30, seed)
    weights = np.random.default_rng(seed).dirichlet(np.ones(experts))
    with np.errstate(divide="ignore"):
        logs = list(np.log(p))
    np.testing.assert_allclose(np.exp(mix(logs, weights.tolist())), weights @ p)


def test_a_mixture_with_a_cache_sums_to_one() -> None:
    rng = np.random.default_rng(0)
    model = rng.dirichlet(np.ones(7))
    cache = np.array([0.5, 0, 0.25, 0, 0, 0.25, 0])
    with np.errstate(divide="ignore"):
        mixed = mix([np.log(model), np.log(cache)], [0.8, 0.2])
    assert np.exp(mixed).sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999))
def test_no_other_weights_are_better(seed: int) -> None:
    p = drawn(3, 60, seed)
    with np.errstate(divide="ignore"):
        logs = list(np.log(p))
    weights = fit_weights(logs)
    assert weights.sum() == pytest.approx(1)
    best = mix(logs, weights.tolist()).mean()
    for a in np.linspace(0.001, 0.999, 25):
        for b in np.linspace(0, 1 - a, 25):
            other = [float(a), float(b), max(0.0, float(1 - a - b))]
            assert mix(logs, other).mean() <= best + 1e-5


def test_weights_that_are_no_distribution() -> None:
    logs = [np.zeros(3), np.zeros(3)]
    with pytest.raises(InputError, match="sum 1"):
        mix(logs, [0.5, 0.6])
    with pytest.raises(InputError, match="0 or more"):
        mix(logs, [1.5, -0.5])


def test_what_no_expert_allows() -> None:
    with pytest.raises(InputError, match="none of them allows"):
        fit_weights([np.array([0.0, -np.inf]), np.array([-1.0, -np.inf])])
