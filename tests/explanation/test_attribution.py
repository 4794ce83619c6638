"""Attributions against definitions: sums, reruns of the whole text, other baselines."""

from typing import Any

import numpy as np
import pytest
from keras import ops

import keras_rnnlm as krl
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.explanation.attribution import (
    Attribution,
    attribute,
    baseline_vector,
)
from keras_rnnlm.explanation.integration import NODES, tolerances
from keras_rnnlm.explanation.passes import run
from keras_rnnlm.explanation.reading import Reading, read
from keras_rnnlm.models.compiled import compiled_once
from tests.explanation.models import TEXT, characters

SHOWN, REACH = 21, 6


def attributed(
    lm: krl.LanguageModel, baseline: str = "mean", reach: int = REACH
) -> tuple[Reading, Attribution]:
    reading = read(lm.tokenizer, TEXT[9:], SHOWN, SHOWN + 12)
    found = run(lm.network, reading)
    return reading, attribute(
        lm.network, lm.tokenizer, reading, found.log_probabilities, reach, baseline
    )


def log_probability(network: Any, vectors: Any, target: int) -> float:
    """Of a token behind some vectors, the whole text read in one piece."""
    # What comes later changes nothing: one length for all is compiled once.
    padded = np.zeros((1, SHOWN, vectors.shape[1]), "float32")
    padded[0, : len(vectors)] = vectors
    logs = compiled_once(network, _logs)(padded, network.initial_state(1))
    return float(ops.convert_to_numpy(logs)[0, len(vectors) - 1, target])


def _logs(network: Any, vectors: Any, state: Any) -> Any:
    hidden, _ = network.hidden_of(vectors, state)
    return network.log_probabilities(hidden)


NETWORKS = [
    {"louder": 20.0},
    {"cell": "gru", "attention": 4, "louder": 20.0},
    {"cell": "min_gru", "louder": 20.0},
    {"vector_width": 7, "louder": 20.0},
    pytest.param(
        {"network": "transformer", "heads": 2, "context": 8}, marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize("arguments", NETWORKS, ids=str)
def test_they_add_up_and_occlusion_is_a_rerun(arguments: dict[str, Any]) -> None:
    lm = characters(**arguments)
    check_sums(lm)
    check_reruns(lm, "unk" if "cell" in arguments else "mean")


def check_sums(lm: krl.LanguageModel) -> None:
    reading, found = attributed(lm)
    assert found.gradients.shape == found.occlusion.shape == (SHOWN, REACH)
    differences = np.abs(found.differences)
    assert differences.max() > 0.3  # there is something to attribute
    assert (np.abs(found.errors) <= 0.01 * np.maximum(differences, 1)).all()
    vectors, base = baseline_vector(lm.network, lm.tokenizer, reading, "mean")
    for t in (1, 4, SHOWN):
        given = vectors[reading.ids[:t]]
        replaced = given.copy()
        replaced[-REACH:] = base
        target = int(reading.ids[t])
        expected = log_probability(lm.network, given, target) - log_probability(
            lm.network, replaced, target
        )
        assert found.differences[t - 1] == pytest.approx(expected, abs=1e-4)
        assert found.gradients[t - 1].sum() == pytest.approx(
            expected, rel=0.02, abs=0.01
        )
        assert not found.gradients[t - 1, t:].any()  # nothing before the text


def check_reruns(lm: krl.LanguageModel, baseline: str) -> None:
    reading, found = attributed(lm, baseline)
    vectors, base = baseline_vector(lm.network, lm.tokenizer, reading, baseline)
    given = vectors[reading.ids[:-1]]
    for t, back in ((1, 0), (5, 4), (13, 2), (SHOWN, REACH - 1)):
        replaced = given[:t].copy()
        replaced[t - 1 - back] = base
        target = int(reading.ids[t])
        expected = log_probability(lm.network, given[:t], target) - log_probability(
            lm.network, replaced, target
        )
        assert found.occlusion[t - 1, back] == pytest.approx(expected, abs=1e-4)
    assert not found.occlusion[2, 3:].any()


def test_a_token_at_the_baseline_has_no_part() -> None:
    """Integrated gradients and occlusion alike, whatever its gradient is."""
    lm = characters()
    vectors = lm.network.embedding.embeddings
    table = np.array(ops.convert_to_numpy(vectors))
    space = int(lm.tokenizer.encode(" ")[0])
    table[space] = 0
    vectors.assign(table)
    reading, found = attributed(lm, "zero")
    there = np.flatnonzero(reading.ids[: SHOWN - 1] == space)
    assert len(there)
    for place in there.tolist():
        assert found.gradients[place, 0] == 0
        assert found.occlusion[place, 0] == pytest.approx(0, abs=1e-5)


def test_more_points_where_the_way_is_rough() -> None:
    _, smooth = attributed(characters(louder=1.0))
    assert set(smooth.points.tolist()) == {NODES}
    _, rough = attributed(characters(louder=60.0))
    assert rough.points.max() > NODES
    beyond = np.abs(rough.errors) > tolerances(rough.differences)
    told = rough.to_json()["completeness"]
    assert told["beyond_tolerance"] == int(beyond.sum())
    assert told["largest_error"] == pytest.approx(np.abs(rough.errors).max(), abs=1e-6)


def test_what_is_refused() -> None:
    lm = characters()
    with pytest.raises(ConfigError, match="Did you mean 'mean'"):
        attributed(lm, "men")
    with pytest.raises(ConfigError, match="reach of 1"):
        attributed(lm, reach=0)
    lm.tokenizer.unk_id = None
    with pytest.raises(InputError, match="has none"):
        attributed(lm, "unk")


def test_a_reach_beyond_the_text_is_the_text() -> None:
    _, found = attributed(characters(), reach=500)
    assert found.reach == SHOWN
