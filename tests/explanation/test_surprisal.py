import math

import keras
import numpy as np
import pytest

from keras_rnnlm.explanation.passes import CHUNK, run
from keras_rnnlm.explanation.reading import read
from keras_rnnlm.explanation.surprisal import surprisal
from tests.explanation.models import TEXT, characters, words


def test_they_add_up_to_the_score_of_the_line() -> None:
    lm = words("the cat sat on the mat")
    reading = read(lm.tokenizer, "the cat sat on a mat", 50, 50)
    found = surprisal(reading, run(lm.network, reading), lm.tokenizer)
    score = lm.score("the cat sat on a mat")
    np.testing.assert_allclose(found.nats, -score.log_probabilities, atol=1e-5)
    assert found.tokens == score.tokens
    assert found.pieces[4] == " a" and found.oov[4]
    np.testing.assert_allclose(found.bits * math.log(2), found.nats)


def test_alternatives_are_what_the_model_predicts_next() -> None:
    lm = characters()
    reading = read(lm.tokenizer, TEXT, 30, 30)
    found = surprisal(reading, run(lm.network, reading), lm.tokenizer)
    for t in (0, 7, 29):
        expected = lm.predict_next("\n" + TEXT[:t], k=5)
        likely = {name: share for name, share in expected if share > 1e-4}
        given = dict(found.alternatives[t])
        assert {name: given[name] for name in likely} == pytest.approx(likely, rel=1e-3)
        assert list(given.values()) == sorted(given.values(), reverse=True)
        assert len(given) == 5


def test_ranks_and_entropies_are_those_of_the_distribution() -> None:
    lm = characters()
    reading = read(lm.tokenizer, TEXT, 2 * CHUNK, 2 * CHUNK + 9)  # pieces and a rest
    found = run(lm.network, reading)
    logs, _ = lm.network.step(reading.ids[None, :-1], lm.network.initial_state(1))
    logs = keras.ops.convert_to_numpy(logs)[0]
    logs = logs.astype(np.float64)
    came = logs[np.arange(len(logs)), reading.ids[1:]]
    np.testing.assert_allclose(found.log_probabilities, came, atol=1e-4)
    np.testing.assert_allclose(
        found.entropies, -(np.exp(logs) * logs).sum(axis=1), atol=1e-4
    )
    np.testing.assert_array_equal(found.ranks, 1 + (logs > came[:, None]).sum(axis=1))
    assert len(found.units) == 2 and found.units[0].shape == (len(logs), 12)
