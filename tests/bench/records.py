"""A comparison made once, of tiny models, for all tests that look at one."""

from functools import lru_cache
from typing import Any

from keras_rnnlm.bench.compare import Plan, benchmark
from keras_rnnlm.bench.peers import Peer, peer
from keras_rnnlm.bench.workloads import workload

ABSENT = Peer(
    "absent-float32",
    "absent",
    None,
    "float32",
    ("training",),
    ("no_such_module",),
    "nothing",
    "something that is not installed",
)
# Its process ends with an error: there is no such backend.
BROKEN = Peer(
    "broken-float32",
    "keras",
    "no-such-backend",
    "float32",
    ("training",),
    (),
    "",
    "a contestant that fails",
)


@lru_cache(maxsize=1)
def tiny_record() -> tuple[dict[str, Any], tuple[str, ...]]:
    """The record of a real comparison, and what it told while it went on."""
    said: list[str] = []
    plan = Plan(
        workloads=[workload("tiny")],
        tasks=["training", "generation"],
        peers=[peer("ours-float32"), peer("keras-jax-float32"), ABSENT, BROKEN],
        rounds=2,
        seconds=0.01,
        ceiling_seconds=0.001,
        command="rnnlm bench",
    )
    return benchmark(plan, said.append), tuple(said)
