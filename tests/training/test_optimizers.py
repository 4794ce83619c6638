"""Optimizers from settings: what they are given, and a step of those that are ours."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.training.optimizers import build_optimizer


def stepped(optimizer: Any, gradients: list[np.ndarray]) -> np.ndarray:
    """The place of a matrix of zeros after some steps."""
    variable = keras.Variable(np.zeros(gradients[0].shape, "float32"))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def test_adam_without_first_moment_is_rmsprop_with_bias_correction() -> None:
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=(3, 4)).astype("float32") for _ in range(5)]
    settings = Settings(beta_1=0.0, beta_2=0.9, learning_rate=0.01, clip_norm=0.0)
    found = stepped(build_optimizer(settings), gradients)
    place, square = np.zeros((3, 4)), np.zeros((3, 4))
    for t, g in enumerate(gradients, 1):
        square = 0.9 * square + 0.1 * g.astype("float64") ** 2
        place -= 0.01 * g / np.sqrt(square / (1 - 0.9**t))
    np.testing.assert_allclose(found, place, rtol=1e-4)


def test_muon_makes_steps_of_matrices_nearly_orthogonal() -> None:
    settings = Settings(optimizer="muon", learning_rate=0.1, clip_norm=0.0)
    gradient = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    values = np.linalg.svd(stepped(build_optimizer(settings), [gradient]))[1]
    # Keras's scale of a step: 0.2 sqrt(longest side).
    values = values / (0.1 * 0.2 * np.sqrt(6))
    assert ((values > 0.6) & (values < 1.4)).all()


def test_muon_is_for_hidden_matrices_alone() -> None:
    network = RNNLM(11, units=5, layers=1, tie_weights=False, embedding=3, projection=4)
    optimizer = build_optimizer(Settings(optimizer="muon", beta_1=0.8))
    optimizer.build(network.trainable_variables)
    hidden = [
        v for v in network.trainable_variables if not optimizer._should_use_adamw(v)
    ]
    by_muon = {v.path for v in hidden}
    matrices = {
        v.path
        for v in (
            network.recurrent[0].cell.kernel,
            network.recurrent[0].cell.recurrent_kernel,
            network.projection.kernel,
        )
    }
    assert by_muon == matrices
    assert (optimizer.momentum, optimizer.adam_beta_1) == (0.95, 0.8)
    assert optimizer.adam_lr_ratio == 1  # one learning rate for both


@pytest.mark.parametrize(
    ("cell", "name", "by_muon"),
    [
        ("rlstm", "output_kernel", True),
        ("rg_lru", "output_kernel", True),
        ("rg_lru", "convolution_kernel", False),  # four numbers for each unit
    ],
)
def test_muon_knows_a_cells_matrices(cell: str, name: str, by_muon: bool) -> None:
    network = RNNLM(11, units=4, layers=1, cell=cell)
    optimizer = build_optimizer(Settings(optimizer="muon"))
    (matrix,) = [v for v in network.trainable_variables if v.path.endswith(f"/{name}")]
    assert optimizer._should_use_adamw(matrix) is not by_muon


def test_no_weight_decay_means_none() -> None:
    for name in ("adamw", "muon"):
        assert build_optimizer(Settings(optimizer=name)).weight_decay == 0
        decaying = build_optimizer(Settings(optimizer=name, weight_decay=0.3))
        assert decaying.weight_decay == 0.3


def test_settings_an_optimizer_lacks() -> None:
    with pytest.raises(ConfigError, match="'sgd' has no 'beta_1'"):
        build_optimizer(Settings(optimizer="sgd", beta_1=0.5))
