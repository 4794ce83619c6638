"""Networks that begin with word vectors: frozen, trained, and of another width."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.vectors import WordVectors
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.models.folder import parameter_count
from keras_rnnlm.models.networks import network_class, network_weights
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import assign_weights, weight_arrays
from tests.conftest import needs_compiler, only_on
from tests.data.gensim_files import chance
from tests.models.tiny import stream

V = 11
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rnn", {"cell": "gru", "embedding": 6}),
    ("rnn", {"cell": "lstm", "tie_weights": False}),
    ("rnn", {"output": "mixture", "mixtures": 2}),
    ("rnn", {"output": "sampled", "output_samples": 4, "connections": "dense"}),
    ("transformer", {"heads": 2, "context": 5}),
    ("transformer", {"heads": 2, "tie_weights": False}),
    ("convolutional", {"kernel_width": 3}),
    ("convolutional", {"output": "mixture", "mixtures": 2}),
)


def network(kind: str = "rnn", **options: Any) -> CausalLM:
    return network_class(kind)(V, **{"units": 8, "layers": 1, "seed": 3, **options})


def array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_projection_where_widths_differ(kind: str, options: dict[str, Any]) -> None:
    """What is read is E P; what is predicted from are the rows of E."""
    made = network(kind, vector_width=5, **options)
    arrays = weight_arrays(made)
    matrix, projection = arrays["embedding.weight"], arrays["embedding.projection"]
    assert matrix.shape == (V, 5)
    assert projection.shape == (5, made.get_config().get("embedding", 8))
    total = sum(a.size for a in arrays.values())
    assert network_weights(kind, made.get_config()) == total
    order = arrays.get("output.order", np.zeros(0)).size
    assert parameter_count(made) == total - order
    tokens = np.random.default_rng(0).integers(0, V, (2, 4), "int32")
    found, _ = compiled(made, made.step)(tokens, made.initial_state(2))

    plain = network(kind, **{**options, "tie_weights": False})
    own = weight_arrays(plain)
    for name in own.keys() & arrays.keys():
        if own[name].shape == arrays[name].shape:
            own[name] = arrays[name]
    own["embedding.weight"] = matrix @ projection
    assign_weights(plain, own)
    hidden, _ = compiled(plain, plain.hidden)(tokens, plain.initial_state(2))
    if made.output_layer.tied and options.get("output") == "mixture":
        wanted = array(made.log_probabilities(hidden))
    elif made.output_layer.tied:
        logits = array(hidden) @ arrays["projection.kernel"] @ matrix.T
        logits = logits + arrays["output.bias"]
        top = logits.max(-1, keepdims=True)
        sums = np.exp(logits - top).sum(-1, keepdims=True)
        wanted = logits - top - np.log(sums)
    else:
        wanted = array(plain.log_probabilities(hidden))
    np.testing.assert_allclose(array(found), wanted, rtol=1e-4, atol=1e-5)


def test_few_words_are_projected_alike() -> None:
    """Where the first layer's product is made word by word."""
    made = network(vector_width=5, embedding=6, cell="lstm")
    tokens = np.random.default_rng(0).integers(0, V, (8, 12), "int32")
    hidden = compiled(made, made.hidden)
    together, _ = hidden(tokens, made.initial_state(8))
    for row, wanted in zip(tokens, array(together), strict=True):
        alone, _ = hidden(row[None], made.initial_state(1))
        np.testing.assert_allclose(array(alone)[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_packed_weights_hold_the_product(tied: bool) -> None:
    only_on("jax")
    needs_compiler()
    made = network(vector_width=5, tie_weights=tied)
    tokens = np.random.default_rng(0).integers(0, V, (2, 4))
    wanted, _ = made.step(tokens, made.initial_state(2))
    packed = PackedNetwork(made)
    found, _ = packed.step(tokens, packed.initial_state(2))
    np.testing.assert_allclose(found, array(wanted), rtol=1e-4, atol=1e-5)


def test_a_folder_needs_no_file_of_vectors(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="word")
    made = RNNLM(corpus.vocabulary_size, units=8, layers=1, vector_width=5, seed=1)
    made.set_vectors(chance(corpus.vocabulary_size, 5), frozen=True)
    LanguageModel(made, corpus.tokenizer).save(tmp_path / "m")
    again = load(tmp_path / "m").network
    assert isinstance(again, RNNLM)
    assert again.get_config() == {**made.get_config(), "name": again.name}
    assert again.embedding.embeddings.trainable
    for name, values in weight_arrays(made).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], values)


def test_vectors_are_taken_and_the_rest_drawn() -> None:
    made = network(embedding=4)
    vectors = WordVectors(
        "file", V, np.array([2, 5]), chance(2, 4), np.zeros(2, np.uint8)
    )
    made.set_vectors(vectors)
    matrix = weight_arrays(made)["embedding.weight"]
    np.testing.assert_array_equal(matrix, vectors.matrix(seed=3))
    np.testing.assert_array_equal(matrix[[2, 5]], vectors.rows)
    with pytest.raises(ConfigError, match=r"shape \(11, 4\) .*received \(11, 5\)"):
        made.set_vectors(chance(V, 5))


@pytest.mark.parametrize("tied", [True, False])
def test_fit_leaves_frozen_vectors_as_they_are(tied: bool) -> None:
    made = network(embedding=4, tie_weights=tied, name="tiny")
    matrix = chance(V, 4)
    made.set_vectors(matrix, frozen=True)

    def fit() -> dict[str, np.ndarray]:
        # Decay would shrink them without any gradient.
        made.compile(
            keras.optimizers.AdamW(0.05, weight_decay=0.1, global_clipnorm=1.0)
        )
        made.fit(stream(V, 4, 2), epochs=1, steps_per_epoch=3, verbose=0)
        return weight_arrays(made)

    before = weight_arrays(made)
    frozen = fit()
    if keras.backend.backend() == "jax":
        assert made.optimizer.path in ("native", "keras")
    for name, values in frozen.items():
        if name != "embedding.weight":
            assert (values != before[name]).any(), name
    np.testing.assert_array_equal(frozen["embedding.weight"], matrix)
    names = [v.path for v in made.optimizer.variables]
    assert not any("embedding" in name for name in names)
    made.freeze_vectors(False)
    assert (fit()["embedding.weight"] != matrix).any()
