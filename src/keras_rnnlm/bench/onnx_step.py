"""onnxruntime: one step (token, state) -> (logits, state) a call, as it is deployed."""

import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from keras_rnnlm.bench.ours import BURST
from keras_rnnlm.bench.runner import Runner
from keras_rnnlm.bench.workloads import GATES, Workload

OPERATORS = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


class OnnxGeneration(Runner):
    """A loop over single steps, each followed by softmax and a draw in NumPy."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Write the graph with random weights and load it."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            one_step_graph(workload).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        states = self._session.get_inputs()[1:]
        shape = (1, 1, workload.units)
        self._zeros = {each.name: np.zeros(shape, np.float32) for each in states}
        self.facts = {
            "parameters": _parameters(workload),
            "how": "loop",
            "settings": "one step a call, CPUExecutionProvider",
        }

    def run(self, units: int) -> tuple[int, float]:
        """Write one text of `units` bursts of tokens."""
        tokens = units * BURST
        random = np.random.default_rng(0)
        names = list(self._zeros)
        token, state = np.zeros((1, 1), np.int64), self._zeros
        begun = time.perf_counter()
        for _ in range(tokens):
            logits, *after = self._session.run(None, {"token": token, **state})
            state = dict(zip(names, after, strict=True))
            edges = np.cumsum(np.exp(logits[0] - logits.max()))
            drawn = np.searchsorted(edges, random.random() * edges[-1])
            token = np.full((1, 1), min(drawn, len(edges) - 1), np.int64)
        return tokens, time.perf_counter() - begun


def one_step_graph(workload: Workload) -> Any:
    """Return an ONNX model of one step at batch 1, with random weights.

    Inputs: `token` (1, 1) and each layer's states (1, 1, units). Outputs: logits
    (1, vocabulary), then the new states in the same order.
    """
    random = np.random.default_rng(0)
    units, words = workload.units, workload.vocabulary
    weights: list[Any] = []

    def weight(name: str, *shape: int) -> str:
        values = random.uniform(-0.05, 0.05, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    def state(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, units))

    nodes = [helper.make_node("Gather", [weight("E", words, units), "token"], ["x0"])]
    inputs = [helper.make_tensor_value_info("token", TensorProto.INT64, (1, 1))]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, words))]
    wide = GATES[workload.cell] * units
    weights.append(numpy_helper.from_array(np.array([1, 1, units]), "as_sequence"))
    for i in range(workload.layers):
        before = [f"h{i}"] + ([f"c{i}"] if workload.cell == "lstm" else [])
        after = [f"{name}_after" for name in before]
        arguments = [
            f"x{i}",
            weight(f"W{i}", 1, wide, units),
            weight(f"R{i}", 1, wide, units),
            weight(f"B{i}", 1, 2 * wide),
            "",
            *before,
        ]
        options: dict[str, Any] = {"hidden_size": units}
        if workload.cell == "gru":
            options["linear_before_reset"] = 1
        nodes.append(
            helper.make_node(
                OPERATORS[workload.cell], arguments, [f"y{i}", *after], **options
            )
        )
        # (time, directions, batch, units) to (time, batch, units).
        nodes.append(
            helper.make_node("Reshape", [f"y{i}", "as_sequence"], [f"x{i + 1}"])
        )
        inputs += [state(name) for name in before]
        outputs += [state(name) for name in after]
    weights.append(numpy_helper.from_array(np.array([1, units]), "as_row"))
    nodes.append(
        helper.make_node("Reshape", [f"x{workload.layers}", "as_row"], ["row"])
    )
    operands = ["row", weight("V", units, words), weight("b", words)]
    nodes.append(helper.make_node("Gemm", operands, ["logits"]))
    graph = helper.make_graph(nodes, "step", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9  # what onnxruntime of some years' age still reads
    onnx.checker.check_model(model)
    return model


def _parameters(workload: Workload) -> int:
    biases = workload.layers * 2 * GATES[workload.cell] * workload.units
    embedding = workload.vocabulary * workload.units
    return workload.matrix_elements + embedding + biases + workload.vocabulary
