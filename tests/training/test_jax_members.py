"""Networks that are stepped together become what each becomes alone."""

from typing import Any

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.layers.kernels.native import library
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.averaging import averaged_variables, begin_average
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.pending import PendingMember, number
from tests.conftest import only_on
from tests.models.tiny import stream

pytestmark = pytest.mark.usefixtures("on_jax")

STEPS = 8
SEEDS = (3, 4, 5)
WAYS = {
    "sgd": Settings(optimizer="sgd", learning_rate=5.0, clip_norm=0.25),
    "adam": Settings(averaging="ema", average=0.8, learning_rate=0.02),
}


@pytest.fixture
def on_jax() -> None:
    only_on("jax")


def network(seed: int, settings: Settings, **options: Any) -> RNNLM:
    made = RNNLM(
        11,
        units=8,
        layers=1,
        dropout=0.3,
        weight_dropout=0.2,
        embedding_dropout=0.1,
        seed=seed,
        **options,
    )
    made.compile(optimizer=build_optimizer(settings), weighted_metrics=[])
    made.optimizer.build(made.trainable_variables)
    made.allocate_state(4, training=True)
    made.allocate_state(4, training=False)
    return made


def rate(step: int, member: int) -> float:
    """Each member has its own."""
    return float(5.0 / (1 + step + member))


def values(trained: RNNLM) -> Any:
    """Everything that a step reads and writes, in the order of Keras's step."""
    return tuple(
        [v.value for v in variables]
        for variables in (
            trained.trainable_variables,
            trained.non_trainable_variables,
            trained.optimizer.variables,
            trained.metrics_variables,
        )
    )


def kept(trained: RNNLM) -> list[np.ndarray]:
    """Weights, averages, carried state and counters."""
    values = [*trained.variables, *trained.optimizer.variables]
    return [np.asarray(v.value) for v in values if v.name != "learning_rate"]


@pytest.mark.parametrize(
    ("way", "loop"), [("sgd", "native"), ("adam", "native"), ("adam", "jax-scan")]
)
def test_each_member_becomes_what_it_becomes_alone(
    way: str, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_rnnlm.training.jax_members import Members
    from keras_rnnlm.training.jax_steps import PendingSteps

    if loop == "jax-scan":
        monkeypatch.setenv("RNNLM_NATIVE", "off")
    elif not library.available():
        pytest.skip("needs the compiled CPU kernels")
    settings, batches = WAYS[way], stream(11, 4, 3)
    # Each its own order of the data.
    order = {seed: np.roll(np.arange(STEPS), seed) for seed in SEEDS}
    together = Members(network(seed, settings) for seed in SEEDS)
    for step in range(STEPS):
        for member in range(len(SEEDS)):
            together.rate_setter(member)(rate(step, member))
        logs = together.step([batches[order[seed][step]] for seed in SEEDS])
    assert together.network.loops() == [loop]
    if way == "adam":
        path = "native" if loop == "native" else "keras"
        assert together.network.optimizer.path == path
    alone = PendingSteps(network(0, settings))
    for member, seed in enumerate(SEEDS):
        state: Any = values(network(seed, settings))
        for step in range(STEPS):
            alone.set_learning_rate(rate(step, member))
            found, state = alone(state, iter([batches[order[seed][step]]]))
        opened = together.opened(member)
        for array, now in zip(sum(state, []), sum(values(opened), []), strict=True):
            np.testing.assert_allclose(
                np.asarray(now, "float64"),
                np.asarray(array, "float64"),
                rtol=2e-5,
                atol=2e-6,
            )
        assert isinstance(logs[member]["loss"], PendingMember)
        assert number(logs[member]["loss"]) == pytest.approx(
            number(found["loss"]), rel=1e-5
        )


def test_what_is_assigned_to_an_opened_member_is_its_own() -> None:
    from keras_rnnlm.training.jax_members import Members

    settings = WAYS["adam"]
    together = Members(network(seed, settings) for seed in SEEDS)
    before = [kept(together.opened(member)) for member in range(len(SEEDS))]
    for member, seed in enumerate(SEEDS):
        for found, wanted in zip(
            before[member], kept(network(seed, settings)), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)
    opened = together.opened(1)
    begin_average(opened.optimizer)
    opened.embedding.embeddings.assign(opened.embedding.embeddings * 0 + 7)
    assert np.all(weight_arrays(together.opened(1))["embedding.weight"] == 7)
    for member in (0, 2):
        after = kept(together.opened(member))
        for found, wanted in zip(after, before[member], strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert np.all(weight_arrays(together.opened(1))["embedding.weight"] == 7)
    # Only the average of the second begins, with the weights after the next step.
    batches = stream(11, 4, 3)
    for step in range(3):
        together.step([batches[step]] * len(SEEDS))
    for member in range(len(SEEDS)):
        opened = together.opened(member)
        averages = averaged_variables(opened.optimizer) or []
        pairs = zip(opened.trainable_variables, averages, strict=True)
        equal = [np.array_equal(w.value, a.value) for w, a in pairs]
        assert all(equal) == (member != 1)
