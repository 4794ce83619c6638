from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import assign_weights, weight_arrays
from keras_rnnlm.scoring.dynamic import DivergedError, DynamicReader
from keras_rnnlm.scoring.gradient_scale import GradientScale, measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.passes import StaticReader, run_pass
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.scorer import score_segments
from tests.conftest import needs_compiler, only_on
from tests.scoring.texts import encoded, shared_network, small_network

V = 23
Arrays = dict[str, NDArray[Any]]


def text_of(*lengths: int, seed: int = 0) -> EncodedText:
    rng = np.random.default_rng(seed)
    return encoded([rng.integers(0, V, n) for n in lengths], line_end=0)


def learned(
    network: RNNLM,
    text: EncodedText,
    settings: DynamicSettings,
    scale: GradientScale | None = None,
    temperatures: Sequence[float] = (1.0,),
) -> NDArray[np.float64]:
    reader = DynamicReader(network, settings, scale, temperatures)
    nats = run_pass(reader, network, text).nats
    return nats[0] if len(temperatures) == 1 else nats


@pytest.mark.parametrize("segment", [7, 40])
def test_at_rate_zero_it_is_the_static_evaluation(segment: int) -> None:
    network, text = shared_network(), text_of(133, 1, 30)
    static = score_segments(network, text.ids, *segments(text, Protocol("carry"))).nats
    nats = learned(network, text, DynamicSettings(0.0, 0.0, segment))
    np.testing.assert_allclose(nats, static, atol=1e-5)
    assert nats.mean() == pytest.approx(static.mean(dtype=np.float64), abs=1e-6)
    plain = run_pass(StaticReader(network), network, text).nats[0]
    np.testing.assert_allclose(plain, static, atol=1e-5)


# -- against a loop in float64 whose gradients are finite differences ----------------


def lstm_nats(
    w: Arrays, inputs: NDArray[Any], targets: NDArray[Any], h: Any, c: Any
) -> tuple[NDArray[np.float64], Any, Any]:
    """The equations of an LSTM with a tied output, in plain NumPy."""
    nats = []
    for token, target in zip(inputs, targets, strict=True):
        z = w["embedding.weight"][token] @ w["recurrent.0.kernel"]
        z = z + h @ w["recurrent.0.recurrent_kernel"] + w["recurrent.0.bias"]
        i, f, g, o = np.split(z, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        logits = w["embedding.weight"] @ h + w["output.bias"]
        nats.append(np.log(np.exp(logits).sum()) - logits[target])
    return np.array(nats), h, c


def slow_loop(
    network: RNNLM, text: EncodedText, s: DynamicSettings, scale: Arrays
) -> NDArray[np.float64]:
    trained = {n: a.astype(np.float64) for n, a in weight_arrays(network).items()}
    found = []
    for start, stop in zip(text.starts, text.stops, strict=True):
        w = {name: array.copy() for name, array in trained.items()}
        h = c = np.zeros(network.units)
        for begin in range(start, stop, s.segment):
            end = min(begin + s.segment, stop)
            x, y = text.ids[begin - 1 : end - 1], text.ids[begin:end]
            nats, h_after, c_after = lstm_nats(w, x, y, h, c)
            found.append(nats)
            gradients = {
                name: differences(w, name, lambda: lstm_nats(w, x, y, h, c)[0].sum())  # noqa: B023
                / s.segment
                for name in w
            }
            for name, gradient in gradients.items():
                r = scale[name] + s.epsilon if s.scaled else 1.0
                back = np.minimum(s.decay * scale[name], 1) if s.scaled else s.decay
                w[name] = (
                    w[name] - s.rate * gradient / r + back * (trained[name] - w[name])
                )
            h, c = h_after, c_after
    return np.concatenate(found)


def differences(w: Arrays, name: str, loss: Callable[[], float]) -> NDArray[Any]:
    gradient, step = np.zeros_like(w[name]), 1e-5
    for place in np.ndindex(*w[name].shape):
        value = w[name][place]
        w[name][place] = value + step
        above = loss()
        w[name][place] = value - step
        gradient[place] = (above - loss()) / (2 * step)
        w[name][place] = value
    return gradient


@pytest.mark.parametrize("scaled", [False, True])
def test_a_slow_loop_with_finite_differences_gives_the_same(scaled: bool) -> None:
    network = RNNLM(vocabulary_size=5, units=3, layers=1, seed=1)
    rng = np.random.default_rng(2)
    drawn = {n: rng.normal(size=a.shape) for n, a in weight_arrays(network).items()}
    assign_weights(network, {n: a.astype(np.float32) for n, a in drawn.items()})
    text = encoded([rng.integers(0, 5, 11), rng.integers(0, 5, 6)], line_end=0)
    scale = {n: rng.uniform(0.1, 3, a.shape) for n, a in drawn.items()}
    settings = DynamicSettings(0.4, 0.3, 4, scaled, epsilon=0.2)
    given = GradientScale({n: a.astype(np.float32) for n, a in scale.items()})
    nats = learned(network, text, settings, given)
    np.testing.assert_allclose(
        nats, slow_loop(network, text, settings, scale), atol=2e-5
    )


# -- what must hold whatever the numbers ---------------------------------------------


def test_no_token_changes_what_stands_before_it() -> None:
    network, text = shared_network(), text_of(60)
    settings = DynamicSettings(0.3, 0.01, 8)
    nats = learned(network, text, settings)
    for place in (1, 20, 24, 60):
        other = text_of(60)
        other.ids[place] = (other.ids[place] + 1) % V
        changed = learned(network, other, settings)
        np.testing.assert_array_equal(changed[: place - 1], nats[: place - 1])
        assert changed[place - 1] != nats[place - 1]
        if place < 50:  # and it does change what comes after its segment
            assert not np.array_equal(changed[place + 8 :], nats[place + 8 :])


def test_it_learns_a_text_that_repeats() -> None:
    network = shared_network()
    text = encoded([np.tile(np.arange(1, 12), 20)], line_end=0)
    static = run_pass(StaticReader(network), network, text).nats[0]
    nats = learned(network, text, DynamicSettings(0.3, 0.0, 10))
    assert nats[-50:].mean() < 0.5 * static[-50:].mean()


def test_the_weights_are_as_they_were_and_files_do_not_meet() -> None:
    network = small_network(V)
    before = weight_arrays(network)
    first, second, both = text_of(40), text_of(30, seed=5), None
    settings = DynamicSettings(0.3, 0.0, 8)
    both = encoded([first.ids[1:], second.ids[1:]], line_end=0)
    # The input of a file's first prediction is the last token before it.
    second.ids[0] = first.ids[-1]
    parts = [learned(network, text, settings) for text in (first, second)]
    np.testing.assert_allclose(
        learned(network, both, settings), np.concatenate(parts), atol=1e-6
    )
    with pytest.raises(DivergedError, match="Lower its rate"):
        learned(network, text_of(300), DynamicSettings(1e30, 0.0, 8))
    for name, array in weight_arrays(network).items():
        np.testing.assert_array_equal(array, before[name])


def test_rates_do_not_make_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    only_on("jax", "tensorflow")
    network, text = small_network(V), text_of(20)
    traced = []
    hidden = network.hidden

    def counted(*arguments: Any) -> Any:
        traced.append(True)
        return hidden(*arguments)

    monkeypatch.setattr(network, "hidden", counted)
    first = learned(network, text, DynamicSettings(0.1, 0.0, 8))
    programs = len(traced)
    assert programs
    for settings in (DynamicSettings(0.3, 0.0, 8), DynamicSettings(0.1, 0.2, 8)):
        other = learned(network, text, settings)
        np.testing.assert_array_equal(other[:8], first[:8])
        assert not np.array_equal(other[16:], first[16:])
    assert len(traced) == programs


def test_temperatures_of_a_pass_are_those_of_the_softmax() -> None:
    network, text = shared_network(), text_of(30)
    temperatures = (0.7, 1.0, 1.4)
    step = network.initial_state(1)
    inputs = np.asarray(text.ids[None, :-1], np.int32)
    log_probs = keras.ops.convert_to_numpy(network.step(inputs, step)[0])[0]
    expected = []
    for t in temperatures:
        p = np.exp(log_probs.astype(np.float64) / t)
        p /= p.sum(axis=-1, keepdims=True)
        expected.append(-np.log(p[np.arange(30), text.ids[1:]]))
    static = run_pass(StaticReader(network, temperatures), network, text).nats
    np.testing.assert_allclose(static, expected, atol=2e-5)
    still = learned(network, text, DynamicSettings(0.0), temperatures=temperatures)
    np.testing.assert_allclose(still, expected, atol=2e-5)
    # At which temperatures nats are given has no part in what is learnt.
    settings = DynamicSettings(0.3, 0.0, 8)
    several = learned(network, text, settings, temperatures=temperatures)
    np.testing.assert_allclose(several[1], learned(network, text, settings), atol=2e-5)


def test_the_scale_is_the_mean_of_squared_gradients() -> None:
    network = RNNLM(vocabulary_size=5, units=3, layers=1, seed=1)
    rng = np.random.default_rng(2)
    text = encoded([rng.integers(0, 5, 80)], line_end=0)
    scale = measure_scale(network, text)  # four lanes, one minibatch
    w = {n: a.astype(np.float64) for n, a in weight_arrays(network).items()}
    zero = np.zeros(3)

    def loss() -> float:
        lanes = [1 + 20 * lane for lane in range(4)]
        return sum(
            lstm_nats(w, text.ids[b - 1 : b + 19], text.ids[b : b + 20], zero, zero)[
                0
            ].sum()
            / 80
            for b in lanes
        )

    sizes = {name: np.abs(differences(w, name, loss)) for name in w}
    mean = np.concatenate([size.ravel() for size in sizes.values()]).mean()
    for name, size in sizes.items():
        np.testing.assert_allclose(scale.named[name], size / mean, atol=2e-3)
    values = np.concatenate([a.ravel() for a in scale.named.values()])
    assert values.mean(dtype=np.float64) == pytest.approx(1, abs=1e-4)


def test_an_empty_first_file_does_not_change_the_scale() -> None:
    network = shared_network()
    ids = np.random.default_rng(0).integers(0, V, 62)
    text = encoded([ids], line_end=None, start=False)
    # As `encode_files` has a file without characters.
    starts, stops = np.append(0, text.starts), np.append(0, text.stops)
    other = measure_scale(network, replace(text, starts=starts, stops=stops))
    for name, array in measure_scale(network, text).named.items():
        np.testing.assert_array_equal(other.named[name], array)


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"rate": -1.0}, {"decay": 1.5}, {"segment": 0}, {"epsilon": 0.0}],
)
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DynamicSettings(**wrong)


def test_what_the_scaled_form_needs() -> None:
    network, text = shared_network(), text_of(20)
    with pytest.raises(InputError, match="scale of gradients"):
        learned(network, text, DynamicSettings(scaled=True))
    other = measure_scale(small_network(V, layers=2), text)
    del other.named["recurrent.0.kernel"]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"recurrent\.0\.kernel"):
        learned(network, text, DynamicSettings(scaled=True), other)
    with pytest.raises(InputError, match="at least 20 predictions"):
        measure_scale(network, text_of(5))


def test_packed_weights_cannot_learn() -> None:
    needs_compiler()
    packed = PackedNetwork(shared_network(), "int8")
    with pytest.raises(InputError, match="cannot learn"):
        DynamicReader(packed, DynamicSettings())
    with pytest.raises(InputError, match="plain figures alone"):
        StaticReader(packed)
