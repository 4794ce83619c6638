"""The GRU that resets before its product, as a model's cell: Cho et al. (2014)."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.generation import loops
from keras_rnnlm.generation.generator import next_tokens
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.layers.make import make_layer, parameters, state_size
from keras_rnnlm.layers.watch import watch
from keras_rnnlm.models.folder import load_folder, parameter_count, save_folder
from keras_rnnlm.models.packed import PackedNetwork, packed_copy, unpackable
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.network_settings import network_arguments
from keras_rnnlm.training.weight_count import count_weights
from tests.layers import reference
from tests.layers.gradients import call_with_gradients
from tests.scoring.texts import compiled_step

BEFORE = {"reset_after": False}
NUMPY = ops.convert_to_numpy


def network(**options: Any) -> RNNLM:
    given = {"units": 8, "layers": 2, "seed": 3, "cell_arguments": BEFORE, **options}
    return RNNLM(11, "gru", **given)


@pytest.mark.parametrize("reset_after", [True, False])
def test_both_forms_equal_their_equations_in_float64(reset_after: bool) -> None:
    """Outputs, the state carried from piece to piece, and all gradients."""
    batch, steps, depth, units = 3, 7, 4, 5
    layer = make_layer(
        "gru",
        {"reset_after": reset_after},
        units,
        return_sequences=True,
        return_state=True,
    )
    layer.build((None, None, depth))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(0.4 * rng.standard_normal(variable.shape))
    x = rng.standard_normal((batch, steps, depth)).astype("float32")
    state = rng.standard_normal((batch, units)).astype("float32")

    def in_pieces(x: Any, state: Any) -> list[Any]:
        first, state = layer.carried(x[:, :3], [state])
        second, state = layer.carried(x[:, 3:], [state])
        return [ops.concatenate([first, second], axis=1), state]

    got = call_with_gradients(layer, in_pieces, [x, state], seed=5)
    cell = reference.gru if reset_after else reference.gru_reset_before
    weights = [NUMPY(v).astype("float64") for v in layer.trainable_variables]
    arrays = [x.astype("float64"), state.astype("float64"), *weights]

    def outputs(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return reference.run(cell, arrays[0], arrays[1:2], arrays[2:])

    for found, expected in zip(got.outputs, outputs(arrays), strict=True):
        np.testing.assert_allclose(found, expected, atol=3e-6)

    def loss(arrays: list[np.ndarray]) -> complex:
        rng = np.random.default_rng(5)
        return sum(
            (o * rng.standard_normal(o.shape).astype("float32")).sum()
            for o in outputs(arrays)
        )

    slopes = reference.derivatives(loss, arrays)
    for found, expected in zip([*got.inputs, *got.weights], slopes, strict=True):
        np.testing.assert_allclose(found, expected, atol=5e-5)


def test_the_forms_differ() -> None:
    """In the number of biases, and in what they compute with the same matrices."""
    assert parameters("gru", None, 6, 8) == 3 * (6 * 8 + 8 * 8 + 2 * 8)
    assert parameters("gru", {"reset_after": True}, 6, 8) == 3 * (6 * 8 + 8 * 8 + 2 * 8)
    assert parameters("gru", BEFORE, 6, 8) == 3 * (6 * 8 + 8 * 8 + 8)
    assert state_size("gru", BEFORE, 6, 8) == 8
    before, after = network(), network(cell_arguments=None)
    assert before.recurrent[0].cell.bias.shape == (24,)
    assert after.recurrent[0].cell.bias.shape == (2, 24)
    for model in (before, after):  # so that gates are far from one half
        vectors = model.embedding.embeddings
        vectors.assign(20.0 * NUMPY(vectors))
    tokens = np.array([[1, 2, 3]])
    found, other = (NUMPY(model(tokens)) for model in (before, after))
    # One seed draws the same matrices for both, and all biases begin at zero.
    np.testing.assert_allclose(found[:, 0], other[:, 0], atol=1e-4)
    assert np.abs(found[:, 1:] - other[:, 1:]).max() > 1e-3


def test_weights_are_counted_before_there_is_a_network() -> None:
    for arguments in (None, {"reset_after": True}, BEFORE):
        settings = Settings(cell="gru", cell_arguments=arguments, units=8)
        built = RNNLM(11, **network_arguments(settings))
        assert count_weights(settings, 11) == parameter_count(built)


def test_steps_pieces_and_words_looked_up_once_equal_the_whole() -> None:
    model = network()
    step = compiled_step(model)
    tokens = np.random.default_rng(0).integers(0, 11, (4, 8), "int32")
    whole, last = step(tokens, model.initial_state(4))
    general = {"jax": "jax-scan", "tensorflow": "tensorflow-loop", "torch": "ops-loop"}
    assert set(model.loops()) == {general[keras.backend.backend()]}
    assert model.planned_loops() == model.loops()
    for size in (1, 3):
        state, pieces = model.initial_state(4), []
        for begin in range(0, 8, size):
            piece, state = step(tokens[:, begin : begin + size], state)
            pieces.append(NUMPY(piece))
        np.testing.assert_allclose(np.concatenate(pieces, 1), NUMPY(whole), atol=2e-6)
        for found, expected in zip(state, last, strict=True):
            np.testing.assert_allclose(NUMPY(found[0]), NUMPY(expected[0]), atol=2e-6)


def test_generation_is_that_of_single_steps() -> None:
    model = network()
    if keras.backend.backend() == "jax":
        assert loops.choose(model).path == "jax loop"
    drawn = next_tokens(
        model, [1], np.array([2, 3], "int32"), Sampler(0), random_streams(0, 1), 4
    )
    found = [int(next(drawn)[0]) for _ in range(4)]
    step, state = compiled_step(model), model.initial_state(1)
    for token in (1, 2, 3):
        log_probs, state = step(np.array([token], "int32"), state)
    for token in found:
        assert token == int(NUMPY(log_probs)[0].argmax())
        log_probs, state = step(np.array([token], "int32"), state)


def test_packed_weights_have_the_other_form_alone() -> None:
    """The C++ loops would read a bias that is not there."""
    model = network()
    assert unpackable(model) == "has gru cells with reset_after=false"
    assert packed_copy(model) is None
    with pytest.raises(InputError, match="reset_after=false. Use its own"):
        PackedNetwork(model, "int8")
    assert unpackable(network(cell_arguments={"reset_after": True})) is None


def test_a_folder_keeps_the_form(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    size = corpus.vocabulary_size
    model = RNNLM(size, "gru", units=4, layers=2, cell_arguments=BEFORE)
    save_folder(tmp_path / "m", model, corpus.tokenizer)
    again, _, config = load_folder(tmp_path / "m")
    assert config["network"]["cell_arguments"] == BEFORE
    assert all(not layer.cell.reset_after for layer in again.recurrent)
    for name, array in weight_arrays(model).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)
    scores = [
        LanguageModel(each, corpus.tokenizer).score("the cat")
        for each in (model, again)
    ]
    assert scores[0].total == pytest.approx(scores[1].total, abs=1e-5)


def test_what_is_watched_is_what_it_does() -> None:
    layer = network().recurrent[0]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 8)).astype("float32")
    state = ops.convert_to_tensor(rng.standard_normal((2, 8)).astype("float32"))
    expected, last = layer.carried(ops.convert_to_tensor(x), [state])
    found = watch(layer, x, (state,))
    assert set(found.held) == {"update"} and set(found.other) == {"reset"}
    outputs = np.moveaxis(NUMPY(found.outputs), 0, 1)
    np.testing.assert_allclose(outputs, NUMPY(expected), atol=1e-5)
    np.testing.assert_allclose(NUMPY(found.states[0])[-1], NUMPY(last), atol=1e-5)


def test_the_setting_is_read_and_checked() -> None:
    typed = ["cell=gru", "cell_arguments.reset_after=false"]
    settings = Settings.from_recipe(None, typed)
    assert settings.cell_arguments == BEFORE
    assert Settings.from_dict(settings.to_dict()) == settings
    for sets, says in (
        (["cell=gru", "cell_arguments.reset_after=0"], "true or false; received 0"),
        (["cell=gru", "cell_arguments.reset_after=no"], "true or false; received 'no'"),
        (["cell=gru", "cell_arguments.reset_aftr=true"], "Did you mean 'reset_after'"),
        (["cell=lstm", "cell_arguments.reset_after=false"], "It has none"),
    ):
        with pytest.raises(ConfigError) as caught:
            Settings.from_recipe(None, sets)
        assert says in str(caught.value)
