"""Comparisons with given figures, to see what is made of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.runs import FINAL, TRIAL, Records, Run, hash_of

BLOCKS = 40
TOKENS = 100


def records_in(folder: Path, token: str = "char") -> Records:
    texts = {part: {"sha256": hash_of(part)} for part in ("train", "valid", "test")}
    data = {"tokenizer": token, **texts}
    return Records(folder, {"data": data, "code": "c0de" * 16, "command": "rnnlm"})


def figures(loss: float) -> dict[str, Any]:
    return {
        "tokens": TOKENS,
        "loss": loss,
        "perplexity": math.exp(loss) if loss < 700 else None,
        "word_perplexity": None,
        "bits_per_character": loss / math.log(2),
        "bits_per_byte": loss / math.log(2),
        "oov": 0,
    }


def run_of(
    model: str,
    loss: float,
    seed: int = 0,
    *,
    valid: float | None = None,
    test: bool = True,
    kind: str = FINAL,
    **changes: Any,
) -> Run:
    settings = {"units": 8, "seed": seed}
    identity = {"settings": settings, "model": model, "code": "c0de"}
    identity |= changes.pop("identity", {})
    name = f"{model}-seed{seed}" if kind == FINAL else f"{model}-trial{seed}"
    found: dict[str, Any] = {
        "weights_hash": hash_of(name),
        "parameters": 1234,
        "optimizer_steps": 500,
        "valid": figures(loss if valid is None else valid),
        "test": figures(loss) if test else None,
        "training_tokens_per_second": 5000.0,
        "generation_tokens_per_second": 300.0,
        "weight_bytes": 4936,
        "state_bytes": 64,
        "seconds": 60.0,
        "history": [[10.0, loss + 0.5], [30.0, loss + 0.1], [59.0, loss]],
    }
    return Run(
        name=name,
        model=model,
        kind=kind,
        trial=0 if kind == FINAL else seed,
        seed=seed,
        identity=identity,
        hash=hash_of(identity),
        **{**found, **changes},
    )


def failed(model: str, seed: int = 0) -> Run:
    gone = dict.fromkeys(
        (
            "weights_hash",
            "parameters",
            "optimizer_steps",
            "valid",
            "test",
            "training_tokens_per_second",
            "generation_tokens_per_second",
            "weight_bytes",
            "state_bytes",
            "seconds",
        )
    )
    return run_of(model, 1.0, seed, **gone, history=[], failure="Not a number at 10%.")


def trial(model: str, loss: float, number: int) -> Run:
    return run_of(model, loss, number, test=False, kind=TRIAL)


def blocks_of(loss: float, seed: int, spread: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return TOKENS / BLOCKS * (loss + spread * generator.normal(size=BLOCKS))


def a_comparison(folder: Path) -> Comparison:
    """Three networks with two seeds each, one of which failed once, and n-grams."""
    records = records_in(folder)
    for model, loss in (("min_gru", 1.9), ("lstm", 1.5), ("transformer", 1.52)):
        for seed in (0, 1):
            if (model, seed) == ("min_gru", 1):
                records.add(failed(model, seed))
                continue
            own = loss + 0.01 * seed
            records.add(run_of(model, own, seed), blocks_of(own, seed, 0.1))
    records.add(run_of("ngram", 1.6, valid=1.7), blocks_of(1.6, 9, 0.1))
    return Comparison(records, ("ngram", "min_gru", "lstm", "transformer"))
