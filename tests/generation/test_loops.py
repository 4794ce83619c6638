"""The loops that draw tokens: one by one in Python, in C++, compiled by JAX."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.generation import jax_loop, loops, native_loop, step_loop
from keras_rnnlm.generation.generator import next_tokens
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.rnn_lm import RNNLM
from tests.conftest import needs_compiler, only_on

VOCABULARY = 90
SAMPLERS = (
    Sampler(),
    Sampler(temperature=0),
    Sampler(temperature=0.6, banned=(3, 88)),
    Sampler(repetition_penalty=1.6),
    Sampler(repetition_penalty=0.8, temperature=1.3, banned=(1,)),
    Sampler(top_k=5),
    Sampler(top_k=1),
    Sampler(top_k=200, top_p=0.9),
    Sampler(top_p=0.5, temperature=2.0),
    Sampler(top_k=20, top_p=0.7, repetition_penalty=1.2, banned=(0, 5)),
    Sampler(top_p=1e-9),
    Sampler(top_p=1e-60),
    Sampler(temperature=1e-30),
    Sampler(temperature=1e30, banned=(2,)),
    Sampler(temperature=1e60, banned=(2,)),
)


@pytest.fixture(scope="module")
def network() -> RNNLM:
    only_on("jax")
    needs_compiler()
    network = RNNLM(VOCABULARY, "gru", units=12, layers=1, seed=1)
    network.set_weights([5 * weight for weight in network.get_weights()])
    return network


def drawn(loop: str, network: Any, sampler: Sampler, rows: int, sizes: Any) -> Any:
    context = np.arange(1, 24, dtype=np.int32)
    seen = np.zeros((rows, VOCABULARY), np.bool_)
    seen[:, context] = True
    module: Any = {"native": native_loop, "jax": jax_loop, "step": step_loop}[loop]
    if loop == "native":
        network = PackedNetwork(network)
    streams = random_streams(4, rows)
    blocks = module.blocks(network, context, seen, sampler, streams, iter(sizes))
    return np.concatenate(list(blocks))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_loops_draw_the_same(network: RNNLM, sampler: Sampler) -> None:
    expected = drawn("step", network, sampler, 3, [40])
    assert (drawn("native", network, sampler, 3, [40]) == expected).all()
    # Sums of float32 may fall on the other side of a number once in a long while.
    assert (drawn("jax", network, sampler, 3, [40]) == expected).mean() > 0.95


@pytest.mark.parametrize("loop", ["native", "jax"])
def test_chunks_make_no_difference(network: RNNLM, loop: str) -> None:
    sampler = Sampler(repetition_penalty=1.2)
    whole = drawn(loop, network, sampler, 2, [75])
    cut = drawn(loop, network, sampler, 2, [1, 4, 66, 4])
    assert whole.shape == cut.shape == (75, 2)
    assert (whole == cut).all()


@pytest.mark.parametrize("loop", ["native", "jax"])
@pytest.mark.parametrize(
    "sampler", [Sampler(), Sampler(0.7, top_k=6), Sampler(1.5, top_p=0.8)], ids=str
)
def test_tokens_come_as_often_as_they_are_likely(
    network: RNNLM, loop: str, sampler: Sampler
) -> None:
    rows, context = 4000, np.array([7, 3], np.int32)
    seen = np.zeros((rows, VOCABULARY), np.bool_)
    module: Any = native_loop if loop == "native" else jax_loop
    on = PackedNetwork(network) if loop == "native" else network
    streams = random_streams(0, rows)
    (ids,) = module.blocks(on, context, seen, sampler, streams, iter([1]))
    log_probs, _ = network.step(context[None], network.initial_state(1))
    likely = np.exp(sampler(np.asarray(log_probs)[:, -1], seen[:1]))[0]
    found = np.bincount(ids[0], minlength=VOCABULARY) / rows
    assert not found[likely == 0].any()
    # Five standard deviations.
    spread = np.sqrt(likely * (1 - likely) / rows)
    assert (np.abs(found - likely) <= 5 * spread + 1e-9).all()


def test_equal_logits_give_the_lowest_id_and_all_a_share(network: RNNLM) -> None:
    flat = RNNLM.from_config(network.get_config())
    flat.set_weights([0 * weight for weight in flat.get_weights()])
    for loop in ("native", "jax"):
        assert set(drawn(loop, flat, Sampler(0), 1, [5]).flat) == {0}
        assert set(drawn(loop, flat, Sampler(0, banned=(0, 1)), 1, [5]).flat) == {2}
        assert set(drawn(loop, flat, Sampler(top_k=2), 9, [20]).flat) == {0, 1}
        assert len(set(drawn(loop, flat, Sampler(), 20, [60]).flat)) == VOCABULARY


@pytest.mark.parametrize("loop", ["step", "native", "jax"])
def test_what_is_excluded_at_first_may_come_later(network: RNNLM, loop: str) -> None:
    flat = RNNLM.from_config(network.get_config())
    flat.set_weights([0 * weight for weight in flat.get_weights()])
    bias = np.zeros(VOCABULARY, np.float32)
    bias[[5, 7, 9]] = 9, 8, 7
    flat.output_layer.bias.assign(bias)
    sampler = Sampler(0, banned=(7,), banned_first=(5,))
    found = drawn(loop, flat, sampler, 2, [1, 2, 3])
    assert found.tolist() == [[9, 9], *[[5, 5]] * 5]


def test_the_path_is_the_fastest_there_is(
    network: RNNLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Sampler):
        pass

    assert loops.choose(network).path.startswith("native ")
    assert loops.choose(network).weights == "float32"
    assert loops.choose(PackedNetwork(network, "int8")).weights == "int8"
    assert loops.choose(network, Own()).path == "token by token"
    monkeypatch.setenv("RNNLM_NATIVE", "off")
    assert loops.choose(network).path == "jax loop"


def test_sizes_grow_and_end() -> None:
    assert list(loops.chunk_sizes(1)) == [1]
    assert list(loops.chunk_sizes(30)) == [4, 8, 16, 2]
    assert list(loops.chunk_sizes(9, 1)) == [1, 2, 4, 2]
    assert list(islice(loops.chunk_sizes(None), 7)) == [4, 8, 16, 32, 64, 64, 64]
    assert sum(loops.chunk_sizes(1000)) == 1000


def test_a_text_that_stops_costs_a_chunk_at_most(network: RNNLM) -> None:
    drawn_at_all = []

    class Counted(np.random.Generator):
        def random(self, *arguments: Any, **options: Any) -> Any:
            drawn_at_all.append(arguments[0])
            return super().random(*arguments, **options)

    streams = [Counted(np.random.PCG64(0))]
    prompt = np.array([1], np.int32)
    tokens = next_tokens(network, (0,), prompt, Sampler(), streams, 1000)
    assert len(list(islice(tokens, 13))) == 13
    assert sum(drawn_at_all) == 4 + 8 + 16
