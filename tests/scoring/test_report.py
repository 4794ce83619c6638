import json
import math

import numpy as np
import pytest

from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.scoring.protocols import Protocol, parse_protocol, segments
from keras_rnnlm.scoring.report import Totals, evaluate, perplexity
from tests.scoring.texts import encoded, shared_network, step_by_step

EOS = 0
RNG = np.random.default_rng(4)
FILES = [np.append(RNG.integers(0, 9, n), EOS) for n in (120, 3, 0, 47)]
NETWORK = shared_network()

KEYS = [
    "protocol",
    "token",
    "tokens",
    "nats",
    "loss",
    "perplexity",
    "oov",
    "nats_without_oov",
    "perplexity_without_oov",
    "words",
    "lines",
    "word_perplexity",
    "word_perplexity_comparable",
    "characters",
    "bits_per_character",
    "bytes",
    "bits_per_byte",
    "accuracy",
    "seconds",
    "tokens_per_second",
]


@pytest.mark.parametrize("protocol", ["carry", "sentence", "window:8", "lanes:3"])
def test_a_report_adds_up_single_steps(protocol: str) -> None:
    text = encoded(FILES, line_end=EOS, oov=[2, 121])
    parts = [
        step_by_step(NETWORK, text.ids, start, stop)
        for start, stop in zip(*segments(text, parse_protocol(protocol)), strict=True)
    ]
    nats, correct = (np.concatenate(column) for column in zip(*parts, strict=True))
    tokens = len(text.ids) - 1
    report = evaluate(NETWORK, text, protocol, token="word")
    assert (report.protocol, report.token) == (protocol, "word")
    assert (report.tokens, report.oov) == (tokens, 2)
    assert report.nats == pytest.approx(nats.sum(), rel=1e-6)
    known = nats.sum() - nats[1] - nats[120]
    assert report.nats_without_oov == pytest.approx(known, rel=1e-6)
    assert report.loss == pytest.approx(report.nats / tokens)
    assert report.perplexity == pytest.approx(math.exp(report.nats / tokens))
    assert report.perplexity_without_oov == pytest.approx(
        math.exp(report.nats_without_oov / (tokens - 2))
    )
    # Each prediction is a word or a line end here.
    assert report.words + report.lines == tokens
    assert report.word_perplexity == pytest.approx(report.perplexity)
    assert not report.word_perplexity_comparable
    bits = report.nats / math.log(2)
    assert report.bits_per_character == pytest.approx(bits / (4 * len(text.ids)))
    assert report.bits_per_byte == pytest.approx(bits / (5 * len(text.ids)))
    assert report.accuracy == pytest.approx(correct.mean())
    assert report.tokens_per_second == pytest.approx(tokens / report.seconds)


@pytest.mark.parametrize("protocol", ["carry", "sentence", "window:8"])
def test_the_batch_size_changes_no_figure(protocol: str) -> None:
    text = encoded(FILES, line_end=EOS, oov=[5])
    reports = [
        evaluate(NETWORK, text, protocol, batch_size=size).to_dict()
        for size in (1, 7, 64)
    ]
    for report in reports:
        for name in ("seconds", "tokens_per_second"):
            del report[name]
        assert report == {
            name: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            for name, value in reports[0].items()
        }


def test_the_keys_are_stable_and_json() -> None:
    report = evaluate(NETWORK, encoded(FILES, line_end=EOS), "carry").to_dict()
    assert list(report) == KEYS
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["oov"], report["word_perplexity_comparable"]) == (0, True)
    assert report["perplexity_without_oov"] == report["perplexity"]


def test_printed_it_is_one_line() -> None:
    text = encoded(FILES, line_end=EOS, oov=[2, 121])
    report = evaluate(NETWORK, text, "sentence")
    line = f"{report}"
    assert f"perplexity {report.perplexity:.2f} per token" in line
    counts = f"({report.tokens} predicted, {report.oov} out of vocabulary, "
    assert report.oov > 0 and f"{counts}protocol sentence)" in line
    assert "\n" not in line and len(line) < 160


def test_the_default_protocol_is_carry() -> None:
    assert evaluate(NETWORK, encoded(FILES, line_end=EOS)).protocol == "carry"
    given = evaluate(NETWORK, encoded(FILES, line_end=EOS), Protocol("window", 9))
    assert given.protocol == "window:9"
    with pytest.raises(ConfigError, match="Did you mean 'carry'"):
        evaluate(NETWORK, encoded(FILES, line_end=EOS), "cary")


def test_a_script_without_spaces_has_no_word_perplexity() -> None:
    import dataclasses

    text = dataclasses.replace(encoded(FILES, line_end=EOS), spaced=False)
    report = evaluate(NETWORK, text)
    assert report.word_perplexity is None
    assert not report.word_perplexity_comparable


def test_an_unpredicted_oov_does_not_count() -> None:
    # Characters: the first of each file is given. Positions 0 and 4 begin files.
    text = encoded([[1, 2, 3, 4], [5, 6]], line_end=EOS, start=False, oov=[0, 2, 4, 5])
    starts, stops = segments(text, Protocol("carry"))
    totals = Totals.of(np.array([1.0, 2.0, 4.0, 8.0]), text, starts, stops)
    assert totals == Totals(tokens=4, nats=15.0, oov=2, nats_without_oov=5.0)


def test_nothing_but_oovs_has_no_perplexity_without_them() -> None:
    text = encoded([[1, 2]], line_end=EOS, oov=[1, 2])
    report = evaluate(NETWORK, text)
    assert (report.oov, report.perplexity_without_oov) == (2, None)
    assert report.nats_without_oov == 0


def test_sums_are_in_float64() -> None:
    nats = np.full(3_000_000, 0.1, np.float32)
    text = encoded([np.ones(len(nats), np.uint16)], line_end=EOS)
    totals = Totals.of(nats, text, text.starts, text.stops)
    assert totals.nats == pytest.approx(len(nats) * float(np.float32(0.1)), rel=1e-12)


def test_a_text_without_predictions_is_refused() -> None:
    with pytest.raises(InputError, match="longer text"):
        evaluate(NETWORK, encoded([[3]], line_end=EOS, start=False))


def test_a_perplexity_too_large_for_a_float_is_null_in_json() -> None:
    import dataclasses

    assert perplexity(1e6, 1) == math.inf
    report = evaluate(NETWORK, encoded(FILES, line_end=EOS))
    report = dataclasses.replace(report, perplexity=math.inf)
    assert report.to_dict()["perplexity"] is None
