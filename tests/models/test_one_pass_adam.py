"""Adam in one pass against Keras's own, and where each of the two runs."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.models.one_pass_adam import (
    OnePassAdam,
    OnePassAdamW,
    in_one_pass,
    one_pass_kind,
)
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.training.averaging import averaging, begin_average
from keras_rnnlm.training.optimizers import build_optimizer
from tests.conftest import needs_compiler, only_on
from tests.models.tiny import stream

STEPS = 20
KINDS = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("adam", {}),
    "clipped": ("adam", {"global_clipnorm": 0.05}),
    "hardly clipped": ("adam", {"global_clipnorm": 1e6, "beta_1": 0.0}),
    "decaying": ("adam", {"weight_decay": 0.1, "global_clipnorm": 0.1}),
    "adamw": ("adamw", {"weight_decay": 0.2, "epsilon": 1e-3, "beta_2": 0.9}),
    "averaging": ("adam", {"use_ema": True, "ema_overwrite_frequency": 7}),
    "schedule": (
        "adamw",
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.9)},
    ),
}


@pytest.fixture
def native() -> None:
    """The kernels can be used."""
    only_on("jax")
    needs_compiler()


def subclass(kind: Any) -> Any:
    """The same optimizer under another class, which is left alone."""
    return type(f"Keras{kind.__name__}", (kind,), {})


def network(optimizer: Any, dtype: str = "float32") -> RNNLM:
    made = RNNLM(11, units=8, layers=1, seed=3, dtype=dtype, name="tiny")
    made.compile(optimizer)
    return made


def trained(optimizer: Any, steps: int = STEPS, dtype: str = "float32") -> RNNLM:
    made = network(optimizer, dtype)
    made.fit(stream(11, 4, 2), steps_per_epoch=steps, verbose=0)
    return made


def path(optimizer: Any) -> str | None:
    found: str | None = getattr(optimizer, "inner_optimizer", optimizer).path
    return found


def assert_same(found: RNNLM, wanted: RNNLM, atol: float = 2e-6) -> None:
    """Compare weights and the state of the optimizers, whose order is one."""
    lists = [
        [*made.trainable_variables, *made.optimizer.variables]
        for made in (found, wanted)
    ]
    for now, then in zip(*lists, strict=True):
        assert now.name == then.name
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(now.value),
            keras.ops.convert_to_numpy(then.value),
            rtol=1e-5,
            atol=atol,
        )


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("way", WAYS)
def test_becomes_what_kerass_own_becomes(way: str) -> None:
    name, arguments = WAYS[way]
    arguments = {"learning_rate": 0.02, **arguments}
    found = trained(KINDS[name](**arguments))
    wanted = trained(subclass(KINDS[name])(**arguments))
    assert path(found.optimizer) == "native"
    assert not hasattr(wanted.optimizer, "path")
    assert_same(found, wanted)


@pytest.mark.usefixtures("native")
def test_what_is_excluded_does_not_decay() -> None:
    def decaying(kind: Any) -> RNNLM:
        optimizer = kind(0.02, weight_decay=0.5, global_clipnorm=0.1)
        optimizer.exclude_from_weight_decay(var_names=["bias", "embeddings"])
        return trained(optimizer)

    found = decaying(keras.optimizers.AdamW)
    assert path(found.optimizer) == "native"
    assert_same(found, decaying(subclass(keras.optimizers.AdamW)))


@pytest.mark.usefixtures("native")
def test_inside_an_optimizer_that_scales_the_loss() -> None:
    arguments = {"learning_rate": 0.02, "global_clipnorm": 0.1}
    found = trained(keras.optimizers.Adam(**arguments), dtype="mixed_float16")
    kerass = subclass(keras.optimizers.Adam)(**arguments)
    wanted = trained(kerass, dtype="mixed_float16")
    assert isinstance(found.optimizer, keras.optimizers.LossScaleOptimizer)
    assert path(found.optimizer) == "native"
    assert_same(found, wanted, atol=1e-4)
    given = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(**arguments))
    trained(given, steps=1)
    assert path(given) == "native"


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("decay", [1.0, 0.4])
def test_with_our_averages(decay: float) -> None:
    def averaged(kind: Any) -> RNNLM:
        arguments = {"learning_rate": 0.02, "global_clipnorm": 0.1}
        made = network(averaging(kind, arguments, decay))
        made.optimizer.build(made.trainable_variables)
        begin_average(made.optimizer)
        made.fit(stream(11, 4, 2), steps_per_epoch=STEPS, verbose=0)
        return made

    found = averaged(OnePassAdam)
    assert path(found.optimizer) == "native"
    assert_same(found, averaged(keras.optimizers.Adam))


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("name", "options"), [("adam", {}), ("adamw", {"averaging": "swa"})]
)
def test_settings_make_one(name: str, options: dict[str, Any]) -> None:
    settings = Settings(optimizer=name, weight_decay=0.1 * (name == "adamw"), **options)
    optimizer = build_optimizer(settings)
    trained(optimizer, steps=1)
    assert path(optimizer) == "native"


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    "arguments",
    [
        {"amsgrad": True},
        {"clipnorm": 1.0},
        {"clipvalue": 0.1},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_what_kerass_own_step_is_taken_for(arguments: dict[str, Any]) -> None:
    found = trained(OnePassAdam(0.02, **arguments), steps=4)
    assert path(found.optimizer) == "keras"
    kerass = subclass(keras.optimizers.Adam)(0.02, **arguments)
    assert_same(found, trained(kerass, steps=4), atol=0)


@pytest.mark.usefixtures("native")
def test_without_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLM_NATIVE", "off")
    found = trained(OnePassAdam(0.02, global_clipnorm=0.1), steps=4)
    assert path(found.optimizer) == "keras"
    kerass = subclass(keras.optimizers.Adam)(0.02, global_clipnorm=0.1)
    assert_same(found, trained(kerass, steps=4), atol=0)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_variables_of_another_type(dtype: str) -> None:
    variable = keras.Variable(np.ones(5), dtype=dtype)
    optimizer = OnePassAdam(0.5)
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones(5, dtype)])
    assert optimizer.path == "keras"
    kerass = keras.optimizers.Adam(0.5)
    twin = keras.Variable(np.ones(5), dtype=dtype)
    kerass.build([twin])
    kerass.apply([keras.ops.ones(5, dtype)])
    np.testing.assert_array_equal(variable.value, twin.value)


@pytest.mark.usefixtures("native")
def test_gradients_that_are_no_arrays_of_jax() -> None:
    variable = keras.Variable(np.ones((3, 2), "float32"))
    optimizer = OnePassAdam(0.5)
    optimizer.build([variable])
    optimizer.apply([np.ones((3, 2), "float32")])
    assert optimizer.path == "keras"
    optimizer.apply([keras.ops.ones((3, 2))])
    assert optimizer.path == "native"
    np.testing.assert_allclose(variable.value, 0.0, atol=1e-4)


@pytest.mark.usefixtures("native")
def test_arrays_that_may_be_sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer = OnePassAdam(0.5)
    optimizer.build([variable])
    monkeypatch.setattr(keras.distribution, "distribution", lambda: "some devices")
    optimizer.apply([keras.ops.ones(3)])
    assert optimizer.path == "keras"


@pytest.mark.usefixtures("native")
def test_an_array_without_a_gradient_stays_and_has_no_part_in_the_norm() -> None:
    variables = [keras.Variable(np.ones(3, "float32")) for _ in range(3)]
    optimizer = OnePassAdam(0.5, global_clipnorm=1.0, epsilon=1.0, weight_decay=0.1)
    optimizer.build(variables)
    gradients = [keras.ops.ones(3) * 2, None, keras.ops.ones(3) * 2]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply(gradients)
    assert optimizer.path == "native"
    np.testing.assert_array_equal(variables[1].value, 1.0)
    # Clipped to a norm of one: 1 / sqrt(6) each, which the moments' correction leaves.
    g = 6**-0.5
    first, second = 0.1 * g, 0.001 * g**2
    step = 0.5 * np.sqrt(0.001) / 0.1 * first / (np.sqrt(second) + 1)
    for variable in (variables[0], variables[2]):
        np.testing.assert_allclose(variable.value, 0.95 - step, rtol=1e-5)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_norm_that_is_no_number_is_seen_in_all_weights(value: float) -> None:
    variables = [keras.Variable(np.ones(3, "float32")) for _ in range(2)]
    optimizer = OnePassAdam(0.5, global_clipnorm=1.0)
    optimizer.build(variables)
    optimizer.apply([keras.ops.ones(3), keras.ops.convert_to_tensor([0.0, value, 0.0])])
    assert optimizer.path == "native"
    assert all(np.isnan(variable.value).all() for variable in variables)


@pytest.mark.usefixtures("native")
def test_members_are_clipped_by_their_own_norms() -> None:
    import jax

    made = network(OnePassAdam(0.02, global_clipnorm=0.5))
    optimizer, variables = made.optimizer, made.trainable_variables
    optimizer.build(variables)
    values = [[v.value for v in kind] for kind in (optimizer.variables, variables)]
    gradients = [v.value * 3 for v in variables]
    mapped = jax.jit(jax.vmap(optimizer.stateless_apply))
    scales = (1.0, 0.01, 2.0)
    stacked = [
        jax.tree.map(lambda array: jax.numpy.stack([array] * 3), each)
        for each in values
    ]
    own = [[g * s for g in gradients] for s in scales]
    found = mapped(
        stacked[0], [jax.numpy.stack(g) for g in zip(*own, strict=True)], stacked[1]
    )
    assert path(optimizer) == "native"
    for member, each in enumerate(own):
        wanted = jax.jit(optimizer.stateless_apply)(values[0], each, values[1])
        for now, array in zip(
            jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True
        ):
            np.testing.assert_array_equal(now[member], array)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("begun", ["native", "keras"])
def test_a_state_of_one_path_goes_on_along_the_other(begun: str) -> None:
    arguments = {"learning_rate": 0.02, "global_clipnorm": 0.1}
    kinds = {
        "native": keras.optimizers.Adam,
        "keras": subclass(keras.optimizers.Adam),
    }
    rest = "keras" if begun == "native" else "native"
    ids = np.random.default_rng(0).integers(0, 11, (12, 4, 6))

    def train(made: RNNLM, batches: np.ndarray) -> RNNLM:
        for batch in batches:
            made.train_on_batch(batch[:, :-1], batch[:, 1:])
        return made

    whole = train(network(kinds[begun](**arguments)), ids)
    first = train(network(kinds[begun](**arguments)), ids[:5])
    second = network(kinds[rest](**arguments))
    second.optimizer.build(second.trainable_variables)
    store: dict[str, Any] = {}
    first.optimizer.save_own_variables(store)
    second.optimizer.load_own_variables(store)
    second.set_weights(first.get_weights())
    assert_same(train(second, ids[5:]), whole)


def test_compile_keeps_the_object_and_what_it_was_given() -> None:
    given = keras.optimizers.Adam(0.02, global_clipnorm=0.3, name="mine")
    config = given.get_config()
    compiled = network(given)
    assert compiled.optimizer is given
    assert given.get_config() == config
    on_jax = keras.backend.backend() == "jax"
    assert isinstance(given, OnePassAdam) is on_jax
    given.learning_rate = 0.5
    assert float(keras.ops.convert_to_numpy(compiled.optimizer.learning_rate)) == 0.5
    assert isinstance(network("adamw").optimizer, OnePassAdamW) is on_jax
    assert isinstance(network("adam").optimizer, OnePassAdam) is on_jax


def test_other_optimizers_are_left_alone() -> None:
    for given in (
        keras.optimizers.SGD(0.1),
        keras.optimizers.Nadam(0.1),
        subclass(keras.optimizers.Adam)(0.1),
    ):
        kind = type(given)
        assert type(network(given).optimizer) is kind
    assert one_pass_kind(keras.optimizers.Lion) is keras.optimizers.Lion
    with pytest.raises(ValueError, match="adamant"):
        in_one_pass("adamant")


@pytest.mark.parametrize("kind", [OnePassAdam, OnePassAdamW])
def test_config_round_trip(kind: Any) -> None:
    given = kind(0.02, weight_decay=0.3, global_clipnorm=0.7)
    config = keras.saving.serialize_keras_object(given)
    assert config["registered_name"] == f"keras_rnnlm>{kind.__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is kind
    assert again.get_config() == given.get_config()
    assert again.path is None
