"""PyTorch's own layers, with the settings that serve them best on this machine."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from keras_rnnlm.bench.ours import (
    BATCHES,
    BURST,
    CLIP_NORM,
    LEARNING_RATE,
    SCORED_STEPS,
)
from keras_rnnlm.bench.runner import Runner
from keras_rnnlm.bench.synthetic import zipf_ids
from keras_rnnlm.bench.workloads import Workload

LAYERS = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
TRIES = 2  # timed steps of each layout


class TorchModel(nn.Module):
    """Embedding, recurrent layers and a linear layer to the logits."""

    def __init__(self, workload: Workload, batch_first: bool) -> None:
        """Make the layers with PyTorch's initial weights."""
        super().__init__()
        self.embedding = nn.Embedding(workload.vocabulary, workload.units)
        self.recurrent = LAYERS[workload.cell](
            workload.units, workload.units, workload.layers, batch_first=batch_first
        )
        self.output = nn.Linear(workload.units, workload.vocabulary)

    def forward(self, tokens: Any, state: Any = None) -> tuple[Any, Any]:
        """Return logits of every position and the new state."""
        hidden, state = self.recurrent(self.embedding(tokens), state)
        return self.output(hidden), state


class TorchTraining(Runner):
    """A plain training loop with carried state.

    Whether batch or time comes first is tried, and the quicker one taken.
    """

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Try both layouts and keep the quicker."""
        _prepare()
        tried = [_Loop(workload, dtype, batch_first) for batch_first in (False, True)]
        for each in tried:
            each.steps(1)
        quickest: _Loop = _quickest(tried, lambda loop: loop.steps(TRIES))
        self._loop = quickest
        layout = "batch" if quickest.batch_first else "time"
        self.facts = _facts(
            quickest.model,
            f"{layout} first",
            f"eager, {layout} first, fused Adam, oneDNN",
            dtype,
        )

    def run(self, units: int) -> tuple[int, float]:
        """Do `units` steps of training."""
        return self._loop.steps(units)


class _Loop:
    """One layout's model, optimizer and batches."""

    def __init__(self, workload: Workload, dtype: str, batch_first: bool) -> None:
        torch.manual_seed(0)
        self.batch_first = batch_first
        self.model = TorchModel(workload, batch_first)
        self._narrow = dtype == "bfloat16"
        self._optimizer = torch.optim.Adam(
            self.model.parameters(), lr=LEARNING_RATE, fused=True
        )
        self._parameters = list(self.model.parameters())
        self._batches = _batches(workload, workload.steps, BATCHES, batch_first)
        self._state: Any = None

    def steps(self, count: int) -> tuple[int, float]:
        tokens = 0
        begun = time.perf_counter()
        for i in range(count):
            inputs, targets = self._batches[i % BATCHES]
            self._optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=self._narrow):
                logits, state = self.model(inputs, self._state)
                loss: Any = nn.functional.cross_entropy(
                    logits.flatten(0, 1), targets.flatten()
                )
            loss.backward()
            nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM, foreach=True)
            self._optimizer.step()
            self._state = _detached(state)
            tokens += inputs.numel()
        return tokens, time.perf_counter() - begun


class TorchScoring(Runner):
    """Log-probabilities of all targets under `inference_mode`, the quicker layout."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Try both layouts and keep the quicker."""
        _prepare()
        self._narrow = dtype == "bfloat16"
        # As in training, few enough logits at a time to stay quick.
        self._steps = min(32 if workload.vocabulary > 1000 else 128, SCORED_STEPS)
        tried = []
        for batch_first in (False, True):
            torch.manual_seed(0)
            model = TorchModel(workload, batch_first).eval()
            pieces = SCORED_STEPS // self._steps
            batches = _batches(workload, self._steps, pieces, batch_first)
            self._score(model, batches)
            tried.append((model, batches, batch_first))
        self._model, self._batches, first = _quickest(
            tried, lambda each: self._score(each[0], each[1])
        )
        layout = "batch" if first else "time"
        self.facts = _facts(
            self._model, f"{layout} first", f"inference_mode, {layout} first", dtype
        )

    def run(self, units: int) -> tuple[int, float]:
        """Score the text `units` times."""
        begun = time.perf_counter()
        tokens = sum(self._score(self._model, self._batches)[0] for _ in range(units))
        return tokens, time.perf_counter() - begun

    def _score(self, model: TorchModel, batches: Any) -> tuple[int, float]:
        state, tokens = None, 0
        begun = time.perf_counter()
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=self._narrow),
        ):
            for inputs, targets in batches:
                logits, state = model(inputs, state)
                nats = nn.functional.cross_entropy(
                    logits.flatten(0, 1), targets.flatten(), reduction="none"
                )
                tokens += len(nats.numpy(force=True))
        return tokens, time.perf_counter() - begun


class TorchGeneration(Runner):
    """The usual loop under `inference_mode`: a step, softmax, a draw."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        """Make the model; batch 1 has one layout."""
        _prepare()
        torch.manual_seed(0)
        self._model = TorchModel(workload, batch_first=False).eval()
        self._narrow = dtype == "bfloat16"
        self.facts = _facts(
            self._model, "loop", "inference_mode, a step a token", dtype
        )

    def run(self, units: int) -> tuple[int, float]:
        """Write one text of `units` bursts of tokens."""
        tokens = units * BURST
        written = []
        begun = time.perf_counter()
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=self._narrow),
        ):
            token, state = torch.zeros((1, 1), dtype=torch.int64), None
            for _ in range(tokens):
                logits, state = self._model(token, state)
                token = torch.multinomial(torch.softmax(logits[0].float(), -1), 1)
                written.append(int(token))
        return len(written), time.perf_counter() - begun


def _prepare() -> None:
    # As many threads as cores is PyTorch's own default. Denormal numbers, which slow a
    # processor down, are flushed as JAX does by itself.
    torch.set_flush_denormal(True)


def _quickest(tried: list[Any], timed: Callable[[Any], tuple[int, float]]) -> Any:
    """The one whose repetition takes least time; each is tried twice, in turns."""
    best = [float("inf")] * len(tried)
    for _ in range(2):
        for i, each in enumerate(tried):
            best[i] = min(best[i], timed(each)[1])
    return tried[best.index(min(best))]


def _batches(
    workload: Workload, steps: int, batches: int, batch_first: bool
) -> list[tuple[Any, Any]]:
    """Inputs and targets of each batch, (B, T) or (T, B)."""
    rows = workload.batch
    ids = torch.from_numpy(
        zipf_ids(rows * steps * batches + 1, workload.vocabulary).astype("int64")
    )
    inputs = ids[:-1].reshape(batches, rows, steps)
    targets = ids[1:].reshape(batches, rows, steps)
    if not batch_first:
        inputs, targets = inputs.transpose(1, 2), targets.transpose(1, 2)
    return list(zip(inputs.contiguous(), targets.contiguous(), strict=True))


def _detached(state: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


def _facts(model: TorchModel, how: str, settings: str, dtype: str) -> dict[str, Any]:
    autocast = ", bfloat16 autocast" if dtype == "bfloat16" else ""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "how": how,
        "settings": f"{settings}{autocast}, {torch.get_num_threads()} threads",
    }
