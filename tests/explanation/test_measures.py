"""Effective memory and calibration."""

import numpy as np
import pytest
from keras import ops

from keras_rnnlm.explanation.calibration import calibration
from keras_rnnlm.explanation.memory import memory
from keras_rnnlm.explanation.passes import run
from keras_rnnlm.explanation.reading import read
from tests.explanation.models import TEXT, characters
from tests.scoring.texts import compiled_step


def test_loss_with_a_context_is_that_of_the_last_tokens_alone() -> None:
    lm = characters()
    reading = read(lm.tokenizer, TEXT, 10, 90)
    full = run(lm.network, reading).log_probabilities
    found = memory(lm.network, reading, full, longest=8, targets=5)
    assert found is not None
    assert found.contexts.tolist() == [1, 2, 4, 8]
    places = np.linspace(8, 90, 5).astype(int)
    assert found.predictions == 5
    assert found.whole == pytest.approx(float(-full[places - 1].mean()))
    step = compiled_step(lm.network)
    for k, context in enumerate(found.contexts.tolist()):
        nats = []
        for place in places.tolist():
            inputs = reading.ids[None, place - context : place]
            logs, _ = step(inputs.astype("int32"), lm.network.initial_state(1))
            nats.append(-ops.convert_to_numpy(logs)[0, -1, reading.ids[place]])
        assert found.nats[k] == pytest.approx(float(np.mean(nats)), abs=1e-5)
        differences = np.array(nats) + full[places - 1]
        assert found.errors[k] == pytest.approx(
            float(differences.std(ddof=1)) / 5**0.5, abs=1e-5
        )


def test_a_convolution_remembers_as_far_as_it_is_wide() -> None:
    lm = characters(network="convolutional", layers=1, kernel_width=4)
    reading = read(lm.tokenizer, TEXT, 10, 300)
    full = run(lm.network, reading).log_probabilities
    found = memory(lm.network, reading, full, longest=16, targets=40)
    assert found is not None
    assert found.nats[2:] == pytest.approx([found.whole] * 3, abs=1e-4)
    assert found.nats[1] != pytest.approx(found.whole, abs=1e-2)
    assert found.errors[2:] == pytest.approx([0.0] * 3, abs=1e-4)


def test_a_short_text_has_no_memory() -> None:
    lm = characters()
    reading = read(lm.tokenizer, TEXT[:20], 10, 90)
    assert memory(lm.network, reading, np.zeros(20)) is None


def test_calibration_by_hand() -> None:
    confidence = np.array([0.05, 0.62, 0.68, 0.66, 0.95, 1.0])
    correct = np.array([False, True, False, True, True, True])
    found = calibration(confidence, correct)
    assert found.counts.tolist() == [1, 0, 0, 0, 0, 0, 3, 0, 0, 2]
    assert found.confidence[6] == pytest.approx(1.96 / 3)
    assert found.accuracy[6] == pytest.approx(2 / 3)
    assert found.error == pytest.approx((0.05 + abs(2 - 1.96) + abs(2 - 1.95)) / 6)
    told = found.to_json()
    assert told["confidence"][1] is None and told["predictions"] == 6


def test_what_is_drawn_from_its_own_probabilities_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    assert calibration(confidence, rng.random(20_000) < confidence).error < 0.02
    assert calibration(confidence, rng.random(20_000) < confidence**2).error > 0.1
