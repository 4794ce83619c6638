"""From runs to one row a model: means, deviations and paired tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.scoring.report import finite
from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.contestants import NGRAM
from keras_rnnlm.search.runs import FINAL, TRIAL, Records, Run
from keras_rnnlm.search.statistics import (
    holm,
    mean_deviation,
    randomisation_p,
    welch_p,
)

LEAST_BLOCKS = 6
"""With fewer blocks no difference, however clear, could have a p below 0.05."""


@dataclass(frozen=True)
class Figure:
    """A mean over runs and its sample standard deviation, None for one run."""

    mean: float
    deviation: float | None = None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Figure | None":
        """Return the figure of some runs; None if it is missing for one of them."""
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls(*mean_deviation(known))


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a comparison says of one model.

    Attributes:
        model: Its name.
        runs: Its final runs that have figures.
        failed: Its final runs that failed.
        trials: Number of trials before them.
        parameters: Number of weights, or of n-grams; None if all runs failed.
        valid: Perplexity on the validation text.
        test: The same on the test text; None without such a text.
        bits_per_character: On the test text, else on the validation text.
        training: Tokens a second in training.
        generation: Tokens a second in generation, one text by itself.
        weight_bytes: What generation keeps: weights.
        state_bytes: And the state of a text.
        seconds: Of a run.
        text_p: Whether the difference to the reference would hold on other text:
            adjusted p-value of a paired randomisation test; None for the reference.
        seed_p: Whether it would hold for other seeds: adjusted p-value of Welch's
            t-test; None with a single run.
        reference: Whether the others are compared with this model.
    """

    model: str
    runs: tuple[Run, ...]
    failed: tuple[Run, ...]
    trials: int
    parameters: int | None = None
    valid: Figure | None = None
    test: Figure | None = None
    bits_per_character: Figure | None = None
    training: Figure | None = None
    generation: Figure | None = None
    weight_bytes: int | None = None
    state_bytes: int | None = None
    seconds: Figure | None = None
    text_p: float | None = None
    seed_p: float | None = None
    reference: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the row for JSON: figures as `{"mean", "deviation"}`, runs by name.

        What is too large for a float is None.
        """
        found: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name in ("runs", "failed"):
                found[name] = [run.name for run in value]
            else:
                found[name] = (
                    finite(vars(value)) if isinstance(value, Figure) else value
                )
        return found


@dataclass(frozen=True)
class Summary:
    """All rows, the best first.

    Attributes:
        rows: A row a model, in order of perplexity on the test text, else on the
            validation text; models that failed come last.
        token: What a prediction is of: `char`, `word`, `bpe` or `unigram`.
        reference: Name of the model that is best on the validation text; None if all
            failed.
    """

    rows: tuple[Row, ...]
    token: str
    reference: str | None

    @property
    def tested(self) -> bool:
        """Whether there is a test text."""
        return any(row.test is not None for row in self.rows)

    @property
    def seeded(self) -> bool:
        """Whether a model has several runs."""
        return any(len(row.runs) + len(row.failed) > 1 for row in self.rows)

    @property
    def tuned(self) -> bool:
        """Whether there were trials."""
        return any(row.trials for row in self.rows)


def summarise(comparison: Comparison) -> Summary:
    """Return the rows of a comparison.

    The reference is the model with the lowest mean loss on the *validation* text, so
    that the test text takes no part in choosing what is tested on it. p-values are
    adjusted for the number of models compared with it (Holm 1979).
    """
    records = comparison.records
    rows = [_row(model, records) for model in comparison.models]
    able = [row for row in rows if row.runs]
    reference = min(able, key=lambda row: _mean_loss(row, "valid"), default=None)
    if reference is not None:
        others = [row for row in able if row is not reference]
        text = holm([_text_p(row, reference, records) for row in others])
        seeds = holm([_seed_p(row, reference) for row in others])
        tested = {
            row.model: {"text_p": t, "seed_p": s}
            for row, t, s in zip(others, text, seeds, strict=True)
        }
        tested[reference.model] = {"reference": True}
        rows = [_with(row, tested.get(row.model, {})) for row in rows]
    return Summary(
        tuple(sorted(rows, key=_rank)),
        records.facts["data"]["tokenizer"],
        None if reference is None else reference.model,
    )


def _row(model: str, records: Records) -> Row:
    own = [run for run in records.runs if run.model == model]
    final = [run for run in own if run.kind == FINAL]
    runs = tuple(run for run in final if run.failure is None)
    failed = tuple(run for run in final if run.failure is not None)
    trials = sum(run.kind == TRIAL for run in own)
    if not runs:
        return Row(model=model, runs=runs, failed=failed, trials=trials)
    return Row(
        model=model,
        runs=runs,
        failed=failed,
        trials=trials,
        parameters=runs[0].parameters,
        valid=Figure.of([_perplexity(run.valid) for run in runs]),
        test=Figure.of([_perplexity(run.test) for run in runs]),
        bits_per_character=Figure.of(
            [(run.test or run.valid or {}).get("bits_per_character") for run in runs]
        ),
        training=Figure.of([run.training_tokens_per_second for run in runs]),
        generation=Figure.of([run.generation_tokens_per_second for run in runs]),
        weight_bytes=runs[0].weight_bytes,
        state_bytes=runs[0].state_bytes,
        seconds=Figure.of([run.seconds for run in runs]),
    )


def _perplexity(figures: dict[str, Any] | None) -> float | None:
    """Return a perplexity; JSON has none for one that no float can hold."""
    if figures is None:
        return None
    value = figures["perplexity"]
    return math.inf if value is None else float(value)


def _mean_loss(row: Row, part: str) -> float:
    return float(np.mean([_losses(run, part) for run in row.runs]))


def _losses(run: Run, part: str) -> float:
    figures = run.valid if part == "valid" else run.test
    return math.inf if figures is None else float(figures["loss"])


def _text_p(row: Row, reference: Row, records: Records) -> float | None:
    """Compare mean losses over the seeds, block by block."""
    ours, theirs = _blocks(row, records), _blocks(reference, records)
    if ours is None or theirs is None or len(ours) < LEAST_BLOCKS:
        return None
    return randomisation_p(ours - theirs)


def _blocks(row: Row, records: Records) -> NDArray[np.float64] | None:
    found = [records.block_nats(run.name) for run in row.runs]
    if any(blocks is None for blocks in found):
        return None
    mean: NDArray[np.float64] = np.mean(np.stack(found), axis=0)  # type: ignore[arg-type]
    return mean


def _seed_p(row: Row, reference: Row) -> float | None:
    if any(each.test is None for each in (row, reference)):
        return None
    return welch_p(*(_sample(each) for each in (row, reference)))


def _sample(row: Row) -> list[float]:
    losses = [_losses(run, "test") for run in row.runs]
    # Counting has no chance in it: it comes out the same any number of times.
    return 2 * losses if row.model == NGRAM else losses


def _with(row: Row, changes: dict[str, Any]) -> Row:
    return Row(**{**vars(row), **changes})


def _rank(row: Row) -> float:
    figure = row.test or row.valid
    return math.inf if figure is None else figure.mean
