"""The process of one contestant: makes it ready, then works when told to.

Started as `python -m keras_rnnlm.bench.worker SPECIFICATION` (JSON). It answers on its
standard output in lines of JSON: first `{"ready": ...}`, then for each line of its
standard input, a JSON object of what to do, one answer. It ends with its input. What
libraries print goes to the standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from keras_rnnlm.allocator import keep_freed_memory

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def main() -> None:
    """Serve the process that started this one until it closes our input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    specification = json.loads(sys.argv[1])
    if specification.get("allocator") != "plain":
        keep_freed_memory()

    def tell(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        if specification["task"] == "ceiling":
            ready, answer = _ceiling(specification)
        else:
            ready, answer = _contestant(specification)
        tell({"ready": ready})
        for line in sys.stdin:
            tell(answer(json.loads(line)))
    except Exception as error:
        # Whatever it was, the comparison goes on without this contestant and says so.
        text = str(error).strip().splitlines() or [""]
        tell({"failed": f"{type(error).__name__}: {text[0]}"})
        raise


def _contestant(specification: dict[str, Any]) -> tuple[dict[str, Any], Answer]:
    """Make a contestant ready; what it does takes a number of seconds."""
    begun = time.perf_counter()
    runner = _runner(specification)
    runner.run(1)
    first = time.perf_counter() - begun
    tokens, seconds = runner.run(1)
    pace = seconds

    def answer(wish: dict[str, Any]) -> dict[str, Any]:
        nonlocal pace
        units = max(1, round(wish["seconds"] / pace))
        tokens, seconds = runner.run(units)
        pace = seconds / units
        return {"units": units, "tokens": tokens, "seconds": seconds, **runner.facts}

    ready = {"first_seconds": first, "tokens": tokens, "seconds": seconds}
    return {**ready, **runner.facts}, answer


def _ceiling(specification: dict[str, Any]) -> tuple[dict[str, Any], Answer]:
    """Make a library ready to multiply and to read."""
    from keras_rnnlm.bench.ceilings import library
    from keras_rnnlm.processor import visible_cores

    measured = library(specification["library"], visible_cores())

    def answer(wish: dict[str, Any]) -> dict[str, Any]:
        if wish["what"] == "products":
            return {"rows": measured.rates(wish["seconds"])}
        if wish["what"] == "product":
            m, k, n = wish["shape"]
            return measured.rate((m, k, n), wish["dtype"], wish["seconds"])
        return measured.bandwidth(wish["bytes"], wish["seconds"])

    return {}, answer


def _runner(specification: dict[str, Any]) -> Any:
    """Import what the contestant needs, and nothing else, and build it."""
    from keras_rnnlm.bench.workloads import Workload

    workload = Workload.from_dict(specification["workload"])
    family, task = specification["family"], specification["task"]
    if family == "ours":
        from keras_rnnlm.bench import ours

        kinds: dict[str, Any] = {
            "training": ours.OurTraining,
            "scoring": ours.OurScoring,
            "generation": ours.OurGeneration,
        }
    elif family == "keras":
        from keras_rnnlm.bench import keras_layers

        kinds = {
            "training": keras_layers.KerasTraining,
            "scoring": keras_layers.KerasScoring,
        }
    elif family == "torch":
        from keras_rnnlm.bench import torch_layers

        kinds = {
            "training": torch_layers.TorchTraining,
            "scoring": torch_layers.TorchScoring,
            "generation": torch_layers.TorchGeneration,
        }
    else:
        from keras_rnnlm.bench import onnx_step

        kinds = {"generation": onnx_step.OnnxGeneration}
    return kinds[task](workload, specification["dtype"])


if __name__ == "__main__":
    main()
