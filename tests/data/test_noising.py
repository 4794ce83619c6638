"""Noise on the inputs of training, against counts by hand."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.data.noising import BLANK, Noising
from keras_rnnlm.data.streams import SentenceBatches, StreamBatches
from keras_rnnlm.errors import ConfigError
from tests.data.test_streams import lined, numbered

IDS = np.random.default_rng(0).choice(6, 3000, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])


def shares(values: Any) -> np.ndarray:
    return np.bincount(np.ravel(values), minlength=6) / np.size(values)


def big(kind: str, rate: float) -> tuple[np.ndarray, ...]:
    tokens = np.random.default_rng(1).integers(0, 6, (200, 500)).astype(np.int32)
    targets = (tokens + 1) % 6
    noised, goals = Noising(kind, rate, IDS, 6, seed=2)(tokens, targets, 7)
    assert noised.dtype == goals.dtype == np.int32
    return tokens, targets, noised, goals


def test_blanks_stand_for_their_share_of_the_words() -> None:
    tokens, targets, noised, goals = big("blank", 0.2)
    blank = noised == BLANK
    assert blank.mean() == pytest.approx(0.2, abs=0.005)
    np.testing.assert_array_equal(noised[~blank], tokens[~blank])
    np.testing.assert_array_equal(goals, targets)


def test_unigram_noise_is_drawn_by_frequency() -> None:
    tokens, targets, noised, goals = big("unigram", 0.3)
    wanted = 0.7 * shares(tokens) + 0.3 * shares(IDS)
    np.testing.assert_allclose(shares(noised), wanted, atol=0.005)
    np.testing.assert_array_equal(goals, targets)


def test_bigram_noise_counts_followers_and_what_is_followed() -> None:
    # Word 0 is always followed by 1; word 1 by 0, 2 and 3; 2 and 3 by 0 alone.
    ids = np.array([0, 1, 0, 1, 0, 1, 2, 0, 1, 3] * 50)
    tokens = np.repeat(np.arange(4, dtype=np.int32), 20_000).reshape(4, -1)
    targets = np.full_like(tokens, 9)
    noised, goals = Noising("bigram", 1.0, ids, 4, seed=0)(tokens, targets, 0)
    pairs = Counter(zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True))
    counts = Counter(ids[:-1].tolist())
    before = {w: sum(b == w for _, b in pairs) / len(pairs) for w in range(4)}
    for word in range(4):
        rate = sum(a == word for a, _ in pairs) / counts[word]
        replaced = goals[word] != 9  # a target is never 9
        assert replaced.mean() == pytest.approx(rate, abs=0.005)
        wanted = rate * before[word] + 1 - rate
        assert (noised[word] == word).mean() == pytest.approx(wanted, abs=0.005)
    drawn = goals[goals != 9]
    got = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(got, [before[w] for w in range(4)], atol=0.05)


def test_noise_is_of_the_batch_and_the_seed() -> None:
    text = numbered(1000)

    def stream(start: int = 0, seed: int = 1) -> StreamBatches:
        noising = Noising("unigram", 0.5, text.ids, 1000, seed)
        return StreamBatches(
            text, 4, 10, seed=1, start=start, endless=True, noising=noising
        )

    seen = [stream()[i][0]["tokens"] for i in range(40)]
    for i in (3, 30):
        np.testing.assert_array_equal(stream()[i][0]["tokens"], seen[i])
        np.testing.assert_array_equal(stream(start=i)[0][0]["tokens"], seen[i])
        assert (stream(seed=2)[i][0]["tokens"] != seen[i]).any()
    plain = StreamBatches(text, 4, 10, seed=1)
    x, y = plain[0]
    masks = [seen[0] != x["tokens"], seen[1] != plain[1][0]["tokens"]]
    assert (masks[0] != masks[1]).any()
    np.testing.assert_array_equal(stream()[0][1], y)


def test_lines_are_noised_too() -> None:
    text = lined([5, 9, 7] * 20, first=1)
    noising = Noising("blank", 0.5, text.ids, 9, 0)
    noised = SentenceBatches(text, 4, noising=noising)
    plain = SentenceBatches(text, 4)
    (a, goals, weights), (b, wanted, _) = noised[2], plain[2]
    assert 0.2 < (a == BLANK)[weights > 0].mean() < 0.8
    np.testing.assert_array_equal(a[a != BLANK], b[a != BLANK])
    np.testing.assert_array_equal(goals, wanted)


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'unigram'"):
        Noising("unigrams", 0.1, IDS, 6)
    with pytest.raises(ConfigError, match="received 1.5"):
        Noising("blank", 1.5, IDS, 6)
