"""Every contestant's own process does what it is asked for."""

import importlib.util

import pytest

from keras_rnnlm.bench.peers import PEERS, Peer, peer
from keras_rnnlm.bench.process import ContestantFailed, Process
from keras_rnnlm.bench.workloads import workload
from keras_rnnlm.processor import processor_flags
from tests.conftest import needs_backend

# What the comparison of tests/bench/records.py leaves out, of those on JAX.
ON_JAX = [
    ("ours-bfloat16", "training", "gru"),
    ("ours-int8", "generation", "lstm"),
    ("keras-jax-float32", "scoring", "gru"),
]
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}  # what oneDNN's bfloat16 needs
# Each with one task and one cell: others would take minutes more and show no more.
OTHERS = [
    (p, p.tasks[k % len(p.tasks)], "lstm" if k % 2 else "gru")
    for k, p in enumerate(p for p in PEERS if p.needs != ("jax",))
]


def work(who: Peer, task: str, cell: str) -> None:
    specification = {
        "task": task,
        "family": who.family,
        "dtype": who.dtype,
        "workload": workload("tiny").with_cell(cell).to_dict(),
    }
    with Process(specification, who.backend) as process:
        process.wait()
        done = process.ask({"seconds": 0.001})
    assert done["tokens"] > 0
    assert done["seconds"] > 0
    # PyTorch has a second bias for each gate, onnxruntime as well.
    assert 4900 < done["parameters"] < 6100
    assert done["how"]
    assert done["settings"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task", "cell"), ON_JAX)
def test_on_jax(name: str, task: str, cell: str) -> None:
    work(peer(name), task, cell)


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize(
    ("other", "task", "cell"), OTHERS, ids=lambda x: getattr(x, "name", x)
)
def test_on_what_else_is_installed(other: Peer, task: str, cell: str) -> None:
    for name in {"torch", "tensorflow"} & set(other.needs):
        needs_backend(name)
    if any(importlib.util.find_spec(name) is None for name in other.needs):
        pytest.skip(f"needs {', '.join(other.needs)}")
    try:
        work(other, task, cell)
    except ContestantFailed as error:
        if (other.dtype, cell) != ("bfloat16", "lstm") or processor_flags() >= AVX512:
            raise
        assert "could not create a primitive" in str(error)
        pytest.skip("PyTorch's LSTM in bfloat16 needs a processor with AVX-512")
