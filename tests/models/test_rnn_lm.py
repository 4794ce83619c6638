"""The model as a Keras model, and its state as a value."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models import stream_training
from keras_rnnlm.models.arguments import check_arguments
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import named_weights, weight_arrays
from tests.conftest import only_on
from tests.models.tiny import stream
from tests.scoring.texts import compiled_step

CELLS = ("simple_rnn", "lstm", "gru")
NUMPY = ops.convert_to_numpy


def network(cell: str = "lstm", **options: Any) -> RNNLM:
    return RNNLM(11, **{"cell": cell, "units": 6, "layers": 2, "seed": 3, **options})


@pytest.mark.parametrize("cell", CELLS)
def test_step_by_step_equals_the_whole_sequence(cell: str) -> None:
    model = network(cell)
    step = compiled_step(model)
    tokens = np.array([[1, 2, 3, 4], [10, 9, 8, 7]], "int32")
    whole, last = step(tokens, model.initial_state(2))
    state = model.initial_state(2)
    for t in range(4):
        one, state = step(tokens[:, t], state)
        np.testing.assert_allclose(NUMPY(one), NUMPY(whole[:, t]), atol=1e-6)
    for a, b in zip(keras.tree.flatten(state), keras.tree.flatten(last), strict=True):
        np.testing.assert_allclose(NUMPY(a), NUMPY(b), atol=1e-6)


OUTPUTS: tuple[dict[str, Any], ...] = (
    {},
    {"tie_weights": False},
    {"output": "adaptive", "tie_weights": False, "output_cutoffs": (3, 6)},
    {"output": "sampled", "output_samples": 7},
    {"output": "sampled", "tie_weights": False},
    {"output": "mixture", "mixtures": 3, "embedding": 4},
)


@pytest.mark.parametrize("options", [{"embedding": 4}, *OUTPUTS])
def test_probabilities_sum_to_one(options: dict[str, Any]) -> None:
    model = network(**options)
    log_probabilities, _ = model.step(np.array([1, 5]), model.initial_state(2))
    np.testing.assert_allclose(np.exp(NUMPY(log_probabilities)).sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("options", OUTPUTS)
def test_a_frozen_network_has_the_same_weights(options: dict[str, Any]) -> None:
    model = network(attention=3, **options)
    names = list(named_weights(model))
    model.trainable = False
    assert list(named_weights(model)) == names


def test_the_carried_state_is_not_rounded() -> None:
    model = network(cell="lstm", dtype="mixed_bfloat16")
    _, state = model.hidden(np.array([[1, 2, 3]]), model.initial_state(1))
    for array in keras.tree.flatten(state):
        rounded = ops.cast(ops.cast(array, "bfloat16"), "float32")
        assert (NUMPY(array) != NUMPY(rounded)).any()


def test_rows_are_reset_one_by_one() -> None:
    model = network()
    batches = stream(11, batch_size=2, steps=3)
    model.allocate_state(2, training=False)
    first, second = batches[0][0]["tokens"], batches[1][0]["tokens"]

    def call(tokens: Any, carry: list[float]) -> Any:
        carried = ops.convert_to_tensor(carry)
        return NUMPY(model({"tokens": ops.convert_to_tensor(tokens), "carry": carried}))

    call(first, [0.0, 0.0])
    logits = call(second, [1.0, 0.0])
    both = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(logits[0], NUMPY(model(both))[0, 3:], atol=1e-6)
    np.testing.assert_allclose(logits[1], NUMPY(model(second))[1], atol=1e-6)


def test_validation_inside_fit_leaves_the_carried_training_state_alone() -> None:
    def trained(validation: Any) -> dict[str, np.ndarray]:
        model = network(dropout=0.2)
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(stream(11, 2, 3), validation_data=validation, epochs=3, verbose=0)
        return weight_arrays(model)

    alone, validated = trained(None), trained(stream(11, batch_size=5, steps=4))
    for name, array in alone.items():
        np.testing.assert_array_equal(array, validated[name], err_msg=name)


def test_fit_learns_a_cycle_and_evaluate_reports_it() -> None:
    model = network(units=16, layers=1)
    model.compile(keras.optimizers.Adam(0.02))
    batches = stream(11, 4, 6, cycle=True)
    model.fit(batches, epochs=30, verbose=0)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert set(found) == {"loss", "accuracy", "perplexity"}
    assert found["accuracy"] > 0.95
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]), rel=1e-4)
    assert model.predict(np.ones((2, 5), "int32"), verbose=0).shape == (2, 5, 11)


@pytest.mark.parametrize(
    ("options", "masked"), [({}, False), *((each, True) for each in OUTPUTS)]
)
def test_one_pass_gives_the_figures_of_the_log_probabilities(
    options: dict[str, Any], masked: bool
) -> None:
    model = network(**options)
    model.rank_words(np.arange(11) % 4)
    model.compile("sgd")
    assert model.one_pass
    x = np.arange(24).reshape(4, 6) % 11
    y = (3 * x + 1) % 11
    mask = (np.arange(24).reshape(4, 6) % 3 > 0).astype("float32")
    weights = mask if masked else np.ones((4, 6), "float32")
    found = model.evaluate(
        x, y, sample_weight=mask if masked else None, verbose=0, return_dict=True
    )
    by_id = NUMPY(model.log_probabilities(model.hidden(x, model.initial_state(4))[0]))
    nats = -np.take_along_axis(by_id, y[..., None], -1)[..., 0]
    mean = (nats * weights).sum() / weights.sum()
    right = ((by_id.argmax(-1) == y) * weights).sum() / weights.sum()
    assert found["loss"] == pytest.approx(mean, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(mean), rel=1e-5)
    assert found["accuracy"] == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize(
    ("dtype", "tied"),
    [("float32", True), ("mixed_bfloat16", True), ("float32", False)],
)
def test_one_pass_trains_as_all_logits_do(dtype: str, tied: bool) -> None:
    def trained(one_pass: bool) -> tuple[dict[str, np.ndarray], Any]:
        model = network(dropout=0.2, dtype=dtype, tie_weights=tied)
        model.compile(keras.optimizers.SGD(1.0, global_clipnorm=1.0))
        model.one_pass = one_pass
        history = model.fit(stream(11, 2, 3), epochs=1, verbose=0).history
        return weight_arrays(model), history

    (ours, seen), (theirs, before) = trained(True), trained(False)
    slack = 1e-5 if dtype == "float32" else 0.02
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], atol=slack, err_msg=name)
    for name in ("loss", "accuracy", "perplexity"):
        np.testing.assert_allclose(seen[name], before[name], rtol=max(slack, 1e-4))


def test_metrics_of_the_users_own_are_given_logits() -> None:
    class Width(keras.metrics.Mean):
        def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(float(y_pred.shape[-1]))

    model = network()
    model.compile("sgd", weighted_metrics=[Width(name="width")])
    assert not model.one_pass
    x = np.arange(24).reshape(4, 6) % 11
    found = model.evaluate(x, x, verbose=0, return_dict=True)
    assert found["width"] == 11


@pytest.mark.parametrize("options", OUTPUTS)
def test_every_output_layer_learns_a_cycle(options: dict[str, Any]) -> None:
    model = network(units=16, layers=1, **options)
    batches = stream(11, 4, 6, cycle=True)
    model.rank_words(np.arange(11) % 4)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(batches, epochs=30, verbose=0)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.95
    again = RNNLM.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert list(named_weights(again)) == list(named_weights(model))


def test_plain_arrays_and_keras_own_loss_work_too() -> None:
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss=loss, weighted_metrics=[])
    x = np.arange(24).reshape(4, 6) % 11
    history = model.fit(x, (x + 1) % 11, batch_size=2, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


def test_predict_takes_batches_of_open_length_like_fit_and_evaluate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TensorFlow would hold all batches to the lengths of the first two."""
    opened: list[Any] = []

    def open_lengths(batches: Any) -> Any:
        opened.append(batches)
        return batches

    monkeypatch.setattr(stream_training, "with_open_lengths", open_lengths)
    model, x = network(), np.ones((2, 5), "int32")
    model.compile("sgd")
    assert model.predict(x, verbose=0).shape == (2, 5, 11)
    assert len(opened) == 1 and opened[0] is x


def test_shuffling_a_stream_is_refused() -> None:
    model = network()
    model.compile()
    with pytest.raises(ValueError, match="shuffle=True for a stream"):
        model.fit(stream(11, 2, 3), shuffle=True)


def test_a_batch_of_a_stream_without_room_says_what_to_do() -> None:
    inputs = {"tokens": np.ones((2, 3), "int32"), "carry": np.zeros(2, "float32")}
    with pytest.raises(ValueError, match="corpus.train.batches"):
        network()(inputs)


def test_the_batch_size_may_change_between_fits() -> None:
    model = network()
    model.compile(weighted_metrics=[])
    for rows in (2, 5, 2):
        history = model.fit(stream(11, rows, 3), verbose=0).history
        assert np.isfinite(history["loss"]).all()


def test_configuration_round_trip() -> None:
    model = network(
        embedding=4, dropout=0.1, weight_dropout=0.2, dtype="mixed_bfloat16"
    )
    again = RNNLM.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    for name, array in weight_arrays(model).items():
        np.testing.assert_array_equal(array, weight_arrays(again)[name])


@pytest.mark.parametrize(
    ("shape", "low_rank"),  # fewer and more than two a word
    [((2, 3), 0), ((4, 7), 0), ((2, 3), 2)],
)
def test_gradients_of_recurrent_weights_are_not_rounded_to_16_bits(
    shape: tuple[int, int], low_rank: int
) -> None:
    only_on("jax")
    import jax
    import jax.numpy as jnp

    model = network(dtype="mixed_bfloat16", low_rank=low_rank)
    values = [v.value for v in model.trainable_variables]

    def loss(values: Any) -> Any:
        pairs = list(zip(model.trainable_variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return jnp.sum(model(np.ones(shape, "int32"))[..., 0])

    gradients = jax.grad(loss)(values)
    kernels = [
        gradient
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if variable.path.endswith("kernel_up" if low_rank else "_cell/kernel")
    ]
    assert len(kernels) == (4 if low_rank else 2)
    for gradient in kernels:
        rounded = gradient.astype(jnp.bfloat16).astype(jnp.float32)
        assert not np.array_equal(gradient, rounded)


def test_no_seed_is_too_large_for_a_backend() -> None:
    for seed in range(4):  # half of the 32-bit numbers are no int32
        RNNLM(5, units=3, layers=1, dropout=0.5, seed=seed)


def test_weights_of_a_seed_are_the_same_everywhere() -> None:
    arrays = weight_arrays(RNNLM(5, units=3, layers=1, seed=7))
    # Drawn by NumPy, so no backend, version or device may change them.
    assert arrays["embedding.weight"][0] == pytest.approx(
        [0.02501911, 0.07944276, 0.05513708], abs=1e-7
    )
    assert list(arrays["recurrent.0.bias"]) == [0] * 3 + [1] * 3 + [0] * 6


def test_stable_names() -> None:
    assert list(named_weights(network(layers=1, embedding=4))) == [
        "embedding.weight",
        "recurrent.0.kernel",
        "recurrent.0.recurrent_kernel",
        "recurrent.0.bias",
        "projection.kernel",
        "output.bias",
    ]
    assert "output.kernel" in named_weights(network(tie_weights=False))
    adaptive = network(tie_weights=False, output="adaptive", output_cutoffs=(3,))
    assert [n for n in named_weights(adaptive) if n.startswith("output")] == [
        "output.head_kernel",
        "output.head_bias",
        "output.projection_0",
        "output.tail_0_kernel",
        "output.tail_0_bias",
        "output.order",
    ]
    sampled = network(output="sampled")
    assert list(named_weights(sampled))[-2:] == ["output.bias", "output.order"]


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="Did you mean 'lstm'"):
        RNNLM(5, cell="lstn")
    with pytest.raises(ValueError, match="tie_weights=False"):
        RNNLM(5, units=4, projection=3)
    with pytest.raises(ValueError, match="Set tie_weights=False"):
        RNNLM(5, units=4, output="adaptive")
    with pytest.raises(ValueError, match="Did you mean 'sampled'"):
        RNNLM(5, units=4, output="sample")
    with pytest.raises(ValueError, match="mixtures goes with output='mixture'"):
        RNNLM(5, units=4, mixtures=3)
    for none in ({"units": 0}, {"layers": 0}):
        with pytest.raises(ConfigError, match="1 unit and 1 layer or more"):
            network(**none)
    with pytest.raises(ValueError, match="output_samples goes with output='sampled'"):
        RNNLM(5, units=4, output_samples=3)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("units", 6.0, "a whole number"),
        ("attention", 2.5, "a whole number"),
        ("projection", 0, "a whole number of 1 or more, or None"),
        ("seed", -1, "a whole number of 0 or more, or None"),
        ("output_samples", float("inf"), "a whole number, or None"),
        ("output_cutoffs", [2.5], "a list of whole numbers, or None"),
        ("dropout", "a", "a number of at least 0 and below 1"),
        ("input_dropout", 1, "a number of at least 0 and below 1, or None"),
        ("activation_penalty", "x", "a number from 0 to 1e6"),
        ("temporal_penalty", float("nan"), "a number from 0 to 1e6"),
        ("tie_weights", "no", "True or False"),
        ("cell", ["lstm"], "a word"),
        ("cell_arguments", "rounds", "a table such as .*, or None"),
    ],
)
def test_arguments_of_another_kind(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(ConfigError, match=f"Expected {name} to be {wanted}; received"):
        network(**{name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    check_arguments({"units": np.int64(4), "dropout": np.float32(0.5), "seed": None})
    check_arguments({"output_cutoffs": np.array([3, 6]), "tie_weights": np.True_})


def test_dropout_acts_in_training_only() -> None:
    model = network(dropout=0.5, embedding_dropout=0.3, weight_dropout=0.3)
    x = np.arange(12).reshape(2, 6) % 11
    np.testing.assert_array_equal(NUMPY(model(x)), NUMPY(model(x)))
    one, two = NUMPY(model(x, training=True)), NUMPY(model(x, training=True))
    assert np.abs(one - two).max() > 1e-3


def test_dropout_masks_of_layers_are_unrelated() -> None:
    model = network(dropout=0.5, units=40, layers=3)
    ones = np.ones((1, 1, 40), "float32")
    layers = [model.input_dropout, *model.dropouts]
    masks = [NUMPY(layer(ones, training=True)) for _ in range(4) for layer in layers]
    same = [np.array_equal(a, b) for i, a in enumerate(masks) for b in masks[:i]]
    assert not any(same)


def test_a_model_in_bfloat16_gives_float32_logits() -> None:
    logits = network(dtype="mixed_bfloat16")(np.ones((1, 2), "int32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@pytest.mark.parametrize("cell", ["lru", "rg_lru", "peephole_lstm", "sru"])
def test_under_mixed_precision_one_network_is_trained_and_evaluated(cell: str) -> None:
    model = network(cell, dtype="mixed_bfloat16", layers=1, units=16)
    tokens = np.arange(40, dtype="int32").reshape(2, 20) % 11
    trained = ops.log_softmax(ops.cast(model(tokens), "float32"))
    evaluated, _ = model.step(tokens, model.initial_state(2))
    np.testing.assert_allclose(NUMPY(trained), NUMPY(evaluated), atol=2e-3)


def test_fit_takes_its_arguments_in_the_order_of_keras() -> None:
    model = network(units=4, layers=1)
    model.compile(weighted_metrics=[])
    fitted = model.fit(
        stream(11, 2, 3), None, None, 1, 0, None, 0.0, stream(11, 2, 4), False
    )
    assert np.isfinite(fitted.history["val_loss"]).all()
    with pytest.raises(ValueError, match="shuffle=True for a stream"):
        model.fit(stream(11, 2, 3), None, None, 1, 0, None, 0.0, None, True)
