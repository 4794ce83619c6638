"""How fast a text is written: ours in float32, bfloat16, int8, and by a torch loop.

    python benchmarks/generation.py [--json FILE]

Two models, 2x650 with 10,000 words and 2x512 with 65 characters, tied, untrained. Every
contestant writes a text of tokens drawn at temperature 1, batch 1, in turns; medians.
What memory gives is measured between them by reading as many bytes as a token's weights
with the same threads, and, for the large model, an array that no cache holds.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import torch

from keras_rnnlm.bench.record import write_figures
from keras_rnnlm.generation.generator import next_tokens
from keras_rnnlm.generation.loops import choose
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.layers.kernels import decode
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.rnn_lm import RNNLM

MODELS = {"word 2x650, V 10,000": (650, 10_000), "char 2x512, V 65": (512, 65)}
KINDS = ("float32", "bfloat16", "int8")
LARGE = 512 << 20
PROMPT = np.array([1, 2, 3], np.int32)
Write = Callable[[int], None]


class TorchModel(torch.nn.Module):
    """The same network of torch's layers."""

    def __init__(self, units: int, vocabulary: int) -> None:
        """Tie the output to the embedding."""
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, units)
        self.lstm = torch.nn.LSTM(units, units, 2)
        self.output = torch.nn.Linear(units, vocabulary)
        self.output.weight = self.embedding.weight

    def forward(self, token: Any, state: Any) -> Any:
        """Return the logits after a token and the state."""
        hidden, state = self.lstm(self.embedding(token), state)
        return self.output(hidden), state


def torch_loop(model: TorchModel) -> Write:
    """The usual loop: a step, a softmax and a draw under inference_mode."""

    def write(tokens: int) -> None:
        written = []
        with torch.inference_mode():
            token, state = torch.zeros((1, 1), dtype=torch.int64), None
            for _ in range(tokens):
                logits, state = model(token, state)
                token = torch.multinomial(torch.softmax(logits[0], -1), 1)
                written.append(int(token))

    return write


def our_loop(network: Any) -> Write:
    """What `generate` runs, without the text."""

    def write(tokens: int) -> None:
        streams = random_streams(0, 1)
        drawn = next_tokens(network, (0,), PROMPT, Sampler(), streams, tokens)
        for _ in islice(drawn, tokens):
            pass

    return write


def reading(size: int) -> Write:
    """Read an array of `size` bytes as often as is said, with all threads."""
    memory = np.ones(size // 4, np.float32)
    threads = len(os.sched_getaffinity(0))
    return lambda passes: decode.read_memory(memory, passes, threads)


def measure(units: int, vocabulary: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Let the contestants take turns; return their medians."""
    network = RNNLM(vocabulary, units=units, layers=2, seed=0)
    packed = {kind: PackedNetwork(network, kind) for kind in KINDS}
    contestants: dict[str, Write] = {
        "torch": torch_loop(TorchModel(units, vocabulary).eval()),
        **{kind: our_loop(packed[kind]) for kind in KINDS},
        "read large": reading(LARGE),
        **{f"read {k}": reading(packed[k].packed.bytes_per_token) for k in KINDS},
    }
    counts = {name: _count(run, seconds) for name, run in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            times[name].append(_seconds(run, counts[name]) / counts[name])
    each = {name: statistics.median(found) for name, found in times.items()}
    large = LARGE / each["read large"]
    result: dict[str, Any] = {
        "path": choose(packed["float32"]).path,
        "memory": large,
        "torch": {"tokens_per_second": 1 / each["torch"]},
    }
    for kind in KINDS:
        size = packed[kind].packed.bytes_per_token
        rate, same = size / each[kind], size / each[f"read {kind}"]
        result[kind] = {
            "tokens_per_second": 1 / each[kind],
            "over_torch": each["torch"] / each[kind],
            "over_float32": each["float32"] / each[kind],
            "bytes_per_token": size,
            "bytes_per_second": rate,
            "of_reading_as_many_bytes": rate / same,
            "of_memory": rate / large,
        }
    return result


def _count(run: Write, seconds: float) -> int:
    """How many tokens or passes take about so long."""
    run(2)
    count = 2
    while (taken := _seconds(run, count)) < seconds / 4 and count < 1 << 20:
        count *= 2
    return max(2, round(count * seconds / taken))


def _seconds(run: Write, count: int) -> float:
    begun = time.perf_counter()
    run(count)
    return time.perf_counter() - begun


def main() -> None:
    """Measure both models and print a line for each contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25, help="of one turn")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name, (units, vocabulary) in MODELS.items():
        found = measure(units, vocabulary, arguments.rounds, arguments.seconds)
        rate = found["torch"]["tokens_per_second"]
        print(f"{name}; {found['path']}; memory {found['memory'] / 1e9:.1f} GB/s")
        print(f"  torch    {rate:8.0f} tokens/s")
        rows.append({"model": name, "who": "torch float32", "tokens/s": rate})
        for kind in KINDS:
            row = found[kind]
            print(
                f"  {kind:8} {row['tokens_per_second']:8.0f} tokens/s, "
                f"{row['over_torch']:.1f} x torch, "
                f"{row['over_float32']:.2f} x float32, "
                f"{row['bytes_per_second'] / 1e9:.1f} GB/s: "
                f"{row['of_reading_as_many_bytes']:.0%} of reading as many bytes, "
                f"{row['of_memory']:.0%} of memory's"
            )
            rows.append(
                {
                    "model": name,
                    "who": f"ours {kind}",
                    "tokens/s": row["tokens_per_second"],
                    "over torch": row["over_torch"],
                    "over our float32": row["over_float32"],
                    "of reading as many bytes": row["of_reading_as_many_bytes"],
                    "how": found["path"],
                }
            )
    title = "Generation at batch 1, tokens a second"
    write_figures(arguments.json, "generation", sys.argv[1:], title, rows)


if __name__ == "__main__":
    main()
