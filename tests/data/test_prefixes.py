"""The tutorial's prefix format: what it holds, and that it loses nothing but time."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm import Corpus
from keras_rnnlm.data import prefixes
from keras_rnnlm.data.prefixes import prefix_batches, prefix_examples, prefix_work
from keras_rnnlm.errors import InputError
from keras_rnnlm.models.rnn_lm import RNNLM

LINES = ["the cat sat", "the dog sat on the log", "a cat"]


def test_a_line_becomes_all_its_prefixes() -> None:
    corpus = Corpus.from_texts(["the cat sat"], tokenizer="word")
    inputs, targets = prefix_examples(corpus.train)
    eos = corpus.tokenizer.eos_id
    the, cat, sat = corpus.train.ids[1:4].tolist()
    assert eos is not None
    assert targets.tolist() == [the, cat, sat, eos]
    shown = (inputs - 1).tolist()  # -1 is padding
    assert shown == [
        [-1, -1, -1, eos],
        [-1, -1, eos, the],
        [-1, eos, the, cat],
        [eos, the, cat, sat],
    ]
    assert inputs.dtype == targets.dtype == np.int32


def test_the_work_is_counted() -> None:
    text = Corpus.from_texts(LINES, tokenizer="word").train
    work = prefix_work(text)
    assert (work.predictions, work.longest) == (14, 7)
    assert work.sentence_steps == 14
    assert work.prefix_steps == 10 + 28 + 6
    assert work.padded_steps == 14 * 7 == prefix_examples(text)[0].size
    assert work.fraction == 1 / 7


def test_a_shorter_length_keeps_the_last_tokens() -> None:
    text = Corpus.from_texts(LINES, tokenizer="word").train
    whole, targets = prefix_examples(text)
    short, same_targets = prefix_examples(text, length=3)
    np.testing.assert_array_equal(short, whole[:, -3:])
    np.testing.assert_array_equal(same_targets, targets)
    longer, _ = prefix_examples(text, length=9)
    np.testing.assert_array_equal(longer[:, 2:], whole)
    assert not longer[:, :2].any()


def test_batches_hold_the_same_examples_once() -> None:
    text = Corpus.from_texts(LINES, tokenizer="word").train
    inputs, targets = prefix_examples(text)
    batches = list(prefix_batches(text, 4))
    assert [len(y) for _, y in batches] == [4, 4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), inputs)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), targets)
    shuffled = np.concatenate([x for x, _ in prefix_batches(text, 4, seed=1)])
    assert (shuffled != inputs).any()
    assert sorted(shuffled.tolist()) == sorted(inputs.tolist())


def test_characters_begin_after_the_first() -> None:
    corpus = Corpus.from_texts(["ab", "c"], tokenizer="char")
    inputs, targets = prefix_examples(corpus.train)
    decode = corpus.tokenizer.decode
    assert [decode(np.array([t])) for t in targets] == ["b", "\n", "c", "\n"]
    prefix = [decode(row[row > 0] - 1) for row in inputs]
    assert prefix == ["a", "ab", "\n", "\nc"]


def test_what_is_too_large_or_senseless_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = Corpus.from_texts(LINES, tokenizer="word").train
    with pytest.raises(ValueError, match="length"):
        prefix_examples(text, length=0)
    with pytest.raises(ValueError, match="batch_size"):
        next(prefix_batches(text, 0))
    monkeypatch.setattr(prefixes, "LARGEST_ARRAY", 14 * 7 * 4 - 1)
    with pytest.raises(InputError, match="prefix_batches"):
        prefix_examples(text)
    prefix_examples(text, length=6)


def test_the_loss_is_that_of_lines_run_through_once() -> None:
    corpus = Corpus.from_texts([*LINES, "the dog"], tokenizer="word")
    size = corpus.vocabulary_size
    recipe = keras.Sequential(
        [
            keras.layers.Embedding(size + 1, 5, mask_zero=True),
            keras.layers.LSTM(7, return_sequences=True),
            keras.layers.LSTM(7),
            keras.layers.Dense(size, activation="softmax"),
        ]
    )
    recipe.build((None, None))
    # Larger than usual, so that a disturbed state would show.
    rng = np.random.default_rng(0)
    recipe.set_weights([rng.normal(0, 0.8, w.shape) for w in recipe.get_weights()])
    inputs, targets = prefix_examples(corpus.train)

    def prefix_nats(x: Any) -> Any:
        found = np.asarray(recipe.predict_on_batch(x), dtype=np.float64)
        return -np.log(found[np.arange(len(targets)), targets])

    table, *recurrent, kernel, bias = recipe.get_weights()
    network = RNNLM(size, units=7, layers=2, embedding=5, tie_weights=False, seed=0)
    network.embedding.set_weights([table[1:]])
    network.recurrent[0].set_weights(recurrent[:3])
    network.recurrent[1].set_weights(recurrent[3:])
    network.output_layer.set_weights([kernel, bias])
    total, steps = 0.0, 0
    for tokens, goals, weights in corpus.train.batches(2, mode="sentence"):
        logits = np.asarray(network.predict_on_batch(tokens), dtype=np.float64)
        log_sums = np.log(np.exp(logits).sum(-1))
        chosen = np.take_along_axis(logits, goals[..., None], -1)[..., 0]
        total += float(((log_sums - chosen) * weights).sum())
        steps += weights.size

    nats = prefix_nats(inputs)
    assert nats.sum() / len(targets) == pytest.approx(total / len(targets), abs=1e-5)
    # More padding changes nothing, because it is masked.
    wider, _ = prefix_examples(corpus.train, length=inputs.shape[1] + 5)
    np.testing.assert_allclose(prefix_nats(wider), nats, atol=1e-5)
    # A fraction of the work: even with its own padding.
    work = prefix_work(corpus.train)
    assert work.sentence_steps == len(targets)
    assert steps < work.prefix_steps < work.padded_steps
