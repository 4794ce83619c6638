"""Models of every cell: streams, steps, generation, scoring, folders, checkpoints."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import FolderError, InputError
from keras_rnnlm.generation.generator import next_tokens
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.models.folder import load_folder, save_folder, write_manifest
from keras_rnnlm.models.packed import PackedNetwork, unpackable
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.scorer import score_segments
from tests.models.tiny import stream
from tests.scoring.texts import compiled_step, small_network, step_by_step

NUMPY = ops.convert_to_numpy
# One for each kind of state: two arrays, four, a matrix, earlier inputs, one wide one.
KINDS = ("coupled_lstm", "slstm", "mlstm", "qrnn", "rg_lru", "lru")


def network(cell: str, **options: Any) -> RNNLM:
    if cell == "mlstm":
        options = {"cell_arguments": {"heads": 2}, **options}
    return RNNLM(11, cell, **{"units": 8, "layers": 2, "seed": 3, **options})


def shapes(state: Any) -> list[list[tuple[int, ...]]]:
    return [[tuple(array.shape) for array in layer] for layer in state]


def test_states_have_the_shapes_of_their_cells() -> None:
    model = network("mlstm", embedding=6, cell_arguments={"heads": 2})
    one = [(3, 2, 4, 4), (3, 2, 4), (3, 2)]
    assert shapes(model.initial_state(3)) == [one, one]
    model = network("qrnn", embedding=6, tie_weights=False)
    # The earlier input is as wide as what the layer reads.
    assert shapes(model.initial_state(3)) == [
        [(3, 8), (3, 1, 6)],
        [(3, 8), (3, 1, 8)],
    ]


@pytest.mark.parametrize("cell", KINDS)
def test_step_by_step_equals_the_whole_sequence(cell: str) -> None:
    model = network(cell)
    step = compiled_step(model)
    tokens = np.random.default_rng(0).integers(0, 11, (2, 5), "int32")
    whole, last = step(tokens, model.initial_state(2))
    state = model.initial_state(2)
    for t in range(5):
        log_probabilities, state = step(tokens[:, t], state)
        np.testing.assert_allclose(
            NUMPY(log_probabilities), NUMPY(whole)[:, t], atol=2e-6
        )
    for a, b in zip(keras.tree.flatten(state), keras.tree.flatten(last), strict=True):
        np.testing.assert_allclose(NUMPY(a), NUMPY(b), atol=2e-6)


@pytest.mark.parametrize("cell", ["slstm", "mlstm", "qrnn"])
def test_streams_carry_the_state_and_reset_rows(cell: str) -> None:
    model = network(cell, layers=1)
    batches = stream(11, batch_size=2, steps=3)
    model.allocate_state(2, training=False)
    first, second = batches[0][0]["tokens"], batches[1][0]["tokens"]

    def call(tokens: Any, carry: list[float]) -> Any:
        carried = ops.convert_to_tensor(carry)
        return NUMPY(model({"tokens": ops.convert_to_tensor(tokens), "carry": carried}))

    call(first, [0.0, 0.0])
    logits = call(second, [1.0, 0.0])
    both = np.concatenate([first, second], axis=1)
    alone = compiled(model, lambda tokens: model(tokens))
    np.testing.assert_allclose(logits[0], NUMPY(alone(both))[0, 3:], atol=2e-6)
    np.testing.assert_allclose(logits[1], NUMPY(alone(second))[1], atol=2e-6)


@pytest.mark.parametrize("cell", ["mlstm", "rg_lru", "mogrifier_lstm"])
def test_fit_learns_a_cycle(cell: str) -> None:
    model = network(cell, units=16, layers=1)
    model.compile(keras.optimizers.Adam(0.02))
    batches = stream(11, 4, 6, cycle=True)
    model.fit(batches, epochs=12, verbose=0)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.9


@pytest.mark.parametrize("cell", ["mlstm", "qrnn"])
def test_scores_and_draws_are_those_of_single_steps(cell: str) -> None:
    model = small_network(23, cell)
    ids = np.random.default_rng(0).integers(0, 23, 60).astype(np.uint16)
    starts, stops = np.array([1, 10, 30]), np.array([10, 11, 60])
    scores = score_segments(model, ids, starts, stops)
    for i in range(3):
        nats, _ = step_by_step(model, ids, starts[i], stops[i])
        here = slice(scores.offsets[i], scores.offsets[i + 1])
        np.testing.assert_allclose(scores.nats[here], nats, rtol=1e-5, atol=1e-5)

    greedy = Sampler(temperature=0)
    drawn = next_tokens(
        model, [1], np.array([2, 3], "int32"), greedy, random_streams(0, 2), 6
    )
    found = np.stack([next(drawn) for _ in range(6)])
    step, state = compiled_step(model), model.initial_state(1)
    for token in (1, 2, 3):
        log_probs, state = step(np.array([token], "int32"), state)
    for t in range(6):
        best = int(NUMPY(log_probs)[0].argmax())
        assert found[t].tolist() == [best, best]
        log_probs, state = step(np.array([best], "int32"), state)


def test_packed_weights_are_for_keras_cells_alone() -> None:
    model = network("mgu")
    assert unpackable(model) == "has mgu cells"
    with pytest.raises(
        InputError, match="received one that has mgu cells. Use its own"
    ):
        PackedNetwork(model, "int8")


@pytest.mark.parametrize("cell", ["slstm", "mlstm", "qrnn", "mogrifier_lstm"])
def test_folders_hold_the_cell_and_its_settings(
    cell: str, english_file: Path, tmp_path: Path
) -> None:
    arguments = {"mlstm": {"heads": 2}, "mogrifier_lstm": {"rank": 2}}.get(cell)
    corpus = Corpus.from_files(english_file, tokenizer="char")
    model = RNNLM(
        corpus.vocabulary_size, cell, units=4, layers=2, cell_arguments=arguments
    )
    save_folder(tmp_path / "m", model, corpus.tokenizer)
    again, _, config = load_folder(tmp_path / "m")
    assert config["network"]["cell_arguments"] == arguments
    assert again.recurrent[0].cell == model.recurrent[0].cell
    for name, array in weight_arrays(model).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)
    nbest = LanguageModel(again, corpus.tokenizer).score_nbest([["the cat", "the"]])
    alone = LanguageModel(model, corpus.tokenizer).score("the cat")
    assert next(nbest)[0].total == pytest.approx(alone.total, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cell": "leaky"}, "has the cell 'leaky', which is not registered here"),
        ({"cell": "mgu2"}, "Did you mean 'mgu'"),
        ({"cell": "leaky"}, "--import FILE"),
        ({"cell_arguments": {"heads": 3}}, "does not fit the size of the weights"),
        ({"cell_arguments": {"cores": 3}}, "does not fit the size of the weights"),
        ({"cell_arguments": 3}, "does not fit the size of the weights"),
    ],
)
def test_folders_of_unknown_cells_say_so(
    changes: dict[str, Any], says: str, english_file: Path, tmp_path: Path
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char")
    model = RNNLM(corpus.vocabulary_size, "mlstm", units=8, layers=1)
    folder = save_folder(tmp_path / "m", model, corpus.tokenizer)
    config = json.loads((folder / "config.json").read_text())
    config["network"] |= changes
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder)
    with pytest.raises(FolderError) as caught:
        load_folder(folder)
    assert says in str(caught.value)


def test_first_weights_do_not_depend_on_the_backend() -> None:
    """Drawn by NumPy from the seed, in the order of names."""
    model = network("min_gru", layers=1)
    drawn = weight_arrays(model)["recurrent.0.kernel"]
    generator = np.random.default_rng(3)
    generator.uniform(-0.1, 0.1, (11, 8))  # the embedding comes first
    bound = np.sqrt(6.0 / 16)
    expected = generator.uniform(-bound, bound, (8, 16))
    np.testing.assert_array_equal(drawn, expected.astype("float32"))
