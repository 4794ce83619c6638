"""Batches whose text changes from epoch to epoch, of the same shape throughout."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.resegmentation import (
    Resegmentation,
    SegmentedText,
    bpe_dropout,
)
from keras_rnnlm.data.resegmented_batches import (
    resegmented_sentences,
    resegmented_stream,
)
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.data.text_words import find_words
from tests.data.test_resegmentation import spelling, tokenizer

OPTIONS: list[dict[str, Any]] = [
    {},
    {"rotate": True, "reset": 0.3},
    {"deviation": 2},
]


def passes(text: str, rate: float = 0.3, seed: int = 4) -> Resegmentation:
    made = tokenizer("bpe")
    words = find_words(encode_texts([text], made), made)
    return Resegmentation(words, bpe_dropout(made, rate), seed)


def flat(batch: Any) -> list[np.ndarray]:
    inputs, *others = batch
    return [*(inputs.values() if isinstance(inputs, dict) else [inputs]), *others]


def equal(one: Any, two: Any) -> bool:
    pairs = zip(flat(one), flat(two), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_dropped_gives_the_batches_of_the_text(
    english_text: str, options: dict[str, Any]
) -> None:
    plain = encode_texts([english_text], tokenizer("bpe"))
    wanted = StreamBatches(plain, 4, 9, 3, endless=True, **options)
    found = resegmented_stream(passes(english_text, 0.0), 4, 9, 3, 0, True, **options)
    assert found.batches_per_epoch == wanted.batches_per_epoch
    assert (found.batch_size, found.steps, found.note) == (4, 9, wanted.note)
    assert list(found.lengths) == list(wanted.lengths)
    for index in range(2 * wanted.batches_per_epoch + 3):
        assert equal(found[index], wanted[index])
        assert found.rate_scale(index) == wanted.rate_scale(index)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_later_start_goes_on_and_seeds_do_not_change_an_epochs_length(
    english_text: str, options: dict[str, Any]
) -> None:
    noising = Noising("blank", 0.2, np.arange(9), 600, 3)
    more = {"endless": True, "noising": noising, **options}
    whole = resegmented_stream(passes(english_text), 4, 9, 4, **more)
    number = whole.batches_per_epoch
    for start in (1, number - 2, 2 * number + 5):
        late = resegmented_stream(passes(english_text), 4, 9, 4, start, **more)
        assert all(equal(whole[start + i], late[i]) for i in range(number + 3))
    other = resegmented_stream(passes(english_text, seed=9), 4, 9, 9, **more)
    assert other.batches_per_epoch == number
    assert not equal(whole[0], other[0])


def test_an_epoch_reads_the_text_once(english_text: str) -> None:
    """One lane: what is read is the text, but for the ends of a pass."""
    batches = resegmented_stream(passes(english_text), 1, 10, 4, endless=True)
    made = tokenizer("bpe")
    text = spelling(made, encode_texts([english_text], made).ids)
    lengths = set()
    for epoch in range(4):
        first = epoch * batches.batches_per_epoch
        rows = [batches[first + i] for i in range(batches.batches_per_epoch)]
        read = spelling(made, np.concatenate([x["tokens"][0] for x, _ in rows]))
        lengths.add(len(read))
        assert read in text + text[1:]  # a short pass goes on with its beginning
        assert len(read) > 0.95 * len(text)
        assert [float(x["carry"][0]) for x, _ in rows] == [0.0] + [1.0] * (
            len(rows) - 1
        )
        assert epoch > 0 or text.startswith(read[:50])
        for (x, y), (following, _) in zip(rows, rows[1:], strict=False):
            np.testing.assert_array_equal(x["tokens"][0][1:], y[0][:-1])
            assert y[0][-1] == following["tokens"][0][0]
    assert len(lengths) > 1


def test_lines_have_the_same_shapes_in_every_epoch(english_text: str) -> None:
    made = tokenizer("bpe")
    lines = {line + "\n" for line in english_text.splitlines() if line}
    batches = resegmented_sentences(passes(english_text), 5, 4, endless=True)
    assert batches.steps is None and batches.lengths_vary and not batches.ordered
    seen: set[str] = set()
    for index in range(4 * batches.batches_per_epoch):
        tokens, targets, weights = batches[index]
        assert tokens.shape == targets.shape == weights.shape
        assert tokens.shape[0] == batches.batch_size
        assert tokens.shape[1] in batches.lengths
        for row, weight in zip(targets, weights, strict=True):
            seen.add(spelling(made, row[weight > 0]).decode("utf-8", "replace"))
    assert lines <= seen
    start = 2 * batches.batches_per_epoch + 1
    late = resegmented_sentences(passes(english_text), 5, 4, start, endless=True)
    assert all(equal(batches[start + i], late[i]) for i in range(9))


@pytest.mark.parametrize("text", ["ab", "the cat\nthe", "a\nb\n\n"])
def test_short_texts_have_batches_too(text: str) -> None:
    stream = resegmented_stream(passes(text, 0.5), 4, 9, endless=True)
    lines = resegmented_sentences(passes(text, 0.5), 4, endless=True)
    for batches in (stream, lines):
        shapes = {flat(batches[i])[0].shape for i in range(12)}
        assert batches.ordered is False or len(shapes) == 1


def test_fewer_lines_than_in_the_typical_pass_leave_rows_empty() -> None:
    """A long line that is cut in the typical pass alone is one row less elsewhere."""

    def text(*lengths: int) -> SegmentedText:
        lines = [[5] * (length - 1) + [0] for length in lengths]
        ids = np.array([0, *sum(lines, [])], np.uint16)
        return SegmentedText(ids, np.array([1]), np.array([len(ids)]), 0)

    drawn: Any = SimpleNamespace(typical=text(5, 4), text=lambda epoch: text(4, 4))
    batches = resegmented_sentences(drawn, 8, endless=True, max_steps=4)
    assert batches.batch_size == 3
    for index in range(3):
        tokens, targets, weights = batches[index]
        assert tokens.shape == targets.shape == weights.shape == (3, 4)
        assert weights.sum(axis=1).tolist() == [4, 4, 0]
        assert not tokens[2].any() and not targets[2].any()
