"""Locked dropout and embedding dropout; weight drop is tested with the layers."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from keras_rnnlm.errors import ConfigError
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


class TestLockedDropout:
    x = np.ones((3, 5, 40), "float32")

    def test_layer(self) -> None:
        layer = layers.LockedDropout(0.5, seed=1)
        check_layer(layer, self.x, output_shape=self.x.shape, output_dtype="bfloat16")

    def test_one_mask_for_all_time_steps_of_a_row(self) -> None:
        out = array(layers.LockedDropout(0.25, seed=1)(self.x, training=True))
        np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1], out.shape))
        assert (out[0] != out[1]).any()
        np.testing.assert_allclose(np.unique(out), [0, 4 / 3], rtol=1e-6)
        assert 0.6 < (out != 0).mean() < 0.9

    def test_masks_differ_between_batches_and_repeat_with_the_seed(self) -> None:
        layer, twin = (layers.LockedDropout(0.5, seed=2) for _ in range(2))
        first, second = (array(layer(self.x, training=True)) for _ in range(2))
        assert (first != second).any()
        np.testing.assert_array_equal(first, array(twin(self.x, training=True)))

    def test_masks_go_on_from_the_saved_generator(self) -> None:
        layer, twin = (layers.LockedDropout(0.5, seed=2) for _ in range(2))
        layer(self.x, training=True)
        (state,), (other,) = layer.variables, twin.variables
        other.assign(ops.copy(state.value))
        np.testing.assert_array_equal(
            array(layer(self.x, training=True)), array(twin(self.x, training=True))
        )

    @pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
    def test_is_the_identity(self, rate: float, training: bool) -> None:
        out = layers.LockedDropout(rate, seed=1)(self.x, training=training)
        np.testing.assert_array_equal(array(out), self.x)

    def test_refuses_a_rate_out_of_range(self) -> None:
        with pytest.raises(ConfigError, match="received 1.5"):
            layers.LockedDropout(1.5)


class TestEmbedding:
    words = np.array([[0, 1, 2, 3, 1], [3, 2, 1, 0, 3]], "int32")

    def make(self, dropout: float, **options: Any) -> layers.Embedding:
        layer = layers.Embedding(4, 8, "uniform", dropout=dropout, seed=5, **options)
        layer.build()
        return layer

    def test_layer(self) -> None:
        layer = layers.Embedding(4, 8, dropout=0.3, seed=6)
        check_layer(
            layer,
            self.words,
            output_shape=(2, 5, 8),
            output_dtype="bfloat16",
            weights=1,
            masks=False,
        )

    def test_a_word_is_dropped_everywhere_in_a_batch_or_nowhere(self) -> None:
        layer = self.make(0.5)
        matrix = array(layer.embeddings)
        seen = set()
        for _ in range(12):
            out = array(layer(self.words, training=True))
            scale = np.zeros(4)
            scale[self.words[0]] = [
                out[0, t, 0] / matrix[w, 0] for t, w in enumerate(self.words[0])
            ]
            assert set(np.round(scale, 4)) <= {0.0, 2.0}
            expected = matrix[self.words] * scale[self.words][..., None]
            np.testing.assert_allclose(out, expected, rtol=1e-5)
            seen.add(tuple(np.round(scale, 4)))
        assert len(seen) > 3
        np.testing.assert_array_equal(array(layer.embeddings), matrix)

    def test_is_keras_embedding_outside_training(self) -> None:
        layer = self.make(0.5)
        out = array(layer(self.words))
        np.testing.assert_array_equal(out, array(layer.embeddings)[self.words])

    def test_masks_as_keras_does(self) -> None:
        layer = self.make(0.5, mask_zero=True)
        mask = array(layer.compute_mask(self.words))
        np.testing.assert_array_equal(mask, self.words != 0)

    def test_a_projection_behind_it(self) -> None:
        layer = layers.Embedding(4, 8, projection=3, dropout=0.3, seed=6)
        check_layer(
            layer,
            self.words,
            output_shape=(2, 5, 3),
            output_dtype="bfloat16",
            weights=2,
            masks=False,
        )
        layer = self.make(0.5, projection=3)
        assert array(layer.kernel).shape == (8, 3)
        matrix = array(layer.embeddings) @ array(layer.kernel)
        np.testing.assert_allclose(
            array(layer(self.words)), matrix[self.words], rtol=1e-4, atol=1e-6
        )
        out = array(layer(self.words, training=True))
        scales = (out / matrix[self.words]).round(3)
        assert set(np.unique(scales)) <= {0.0, 2.0}
        rows, ids = layer.rows(self.words)
        np.testing.assert_allclose(
            array(rows)[array(ids)], matrix[self.words], rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("listed", [True, False])
    def test_given_vectors_beside_dropout(self, listed: bool) -> None:
        matrix = 1 + np.arange(32, dtype="float32").reshape(4, 8)
        given = [matrix] if listed else matrix
        layer = layers.Embedding(4, 8, weights=given, dropout=0.5, seed=5)
        np.testing.assert_array_equal(array(layer(self.words)), matrix[self.words])
        out = array(layer(self.words, training=True))
        assert set(np.unique(out / matrix[self.words])) <= {0.0, 2.0}
        with pytest.raises(ConfigError, match="no weights beside a projection"):
            layers.Embedding(4, 8, weights=given, projection=3)

    def test_an_output_tied_to_it_sees_the_whole_matrix(self) -> None:
        layer, output = self.make(0.5), layers.Output(4, tied=True, use_bias=False)
        hidden = np.ones((1, 8), "float32")

        def call(hidden: Any) -> Any:
            layer(self.words, training=True)
            return output(hidden, layer.embeddings)

        got = call_with_gradients(layer, call, [hidden])
        np.testing.assert_allclose(
            got.outputs[0][0], array(layer.embeddings).sum(1), rtol=1e-5
        )
        assert (got.weights[0] != 0).all()
