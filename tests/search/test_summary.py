import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.statistics import holm, randomisation_p
from keras_rnnlm.search.summary import summarise
from keras_rnnlm.search.table import plain_table, remarks
from tests.search.made import (
    a_comparison,
    blocks_of,
    failed,
    records_in,
    run_of,
    trial,
)


def test_rows(tmp_path: Path) -> None:
    summary = summarise(a_comparison(tmp_path))
    assert [row.model for row in summary.rows] == [
        "lstm",
        "transformer",
        "ngram",
        "min_gru",
    ]
    assert summary.reference == "lstm"
    assert summary.tested and summary.seeded and not summary.tuned
    lstm, _, ngram, min_gru = summary.rows
    perplexities = [math.exp(1.5), math.exp(1.51)]
    assert lstm.test is not None and ngram.valid is not None
    assert lstm.test.mean == pytest.approx(np.mean(perplexities))
    assert lstm.test.deviation == pytest.approx(np.std(perplexities, ddof=1))
    assert ngram.valid.mean == pytest.approx(math.exp(1.7))
    assert ngram.valid.deviation is None
    assert (len(min_gru.runs), len(min_gru.failed)) == (1, 1)


def test_p_values(tmp_path: Path) -> None:
    """Those of the tests themselves, on means over seeds, adjusted together."""
    rows = {row.model: row for row in summarise(a_comparison(tmp_path)).rows}
    lstm = (blocks_of(1.5, 0, 0.1) + blocks_of(1.51, 1, 0.1)) / 2
    others = {
        "ngram": blocks_of(1.6, 9, 0.1),
        "min_gru": blocks_of(1.9, 0, 0.1),
        "transformer": (blocks_of(1.52, 0, 0.1) + blocks_of(1.53, 1, 0.1)) / 2,
    }
    expected = holm([randomisation_p(blocks - lstm) for blocks in others.values()])
    assert [rows[model].text_p for model in others] == expected
    welch = stats.ttest_ind([1.52, 1.53], [1.5, 1.51], equal_var=False).pvalue
    alone = stats.ttest_1samp([1.5, 1.51], 1.6).pvalue
    low, high = rows["ngram"].seed_p, rows["transformer"].seed_p
    assert low == pytest.approx(2 * alone, rel=1e-4)
    assert high == pytest.approx(max(2 * alone, welch), rel=1e-4)
    assert rows["min_gru"].seed_p is None  # a single run is left
    assert rows["lstm"].text_p is None and rows["lstm"].reference


def test_the_reference_is_chosen_on_validation_text(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    records.add(run_of("lstm", 1.5, valid=1.6), blocks_of(1.5, 0, 0.1))
    records.add(run_of("gru", 1.55, valid=1.4), blocks_of(1.55, 0, 0.1))
    summary = summarise(Comparison(records, ("lstm", "gru")))
    assert summary.rows[0].model == "lstm" and summary.reference == "gru"
    assert summary.rows[0].text_p is not None


def test_no_test_text_no_tests(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    for model, loss in (("lstm", 1.5), ("gru", 1.4)):
        records.add(run_of(model, loss, test=False))
    summary = summarise(Comparison(records, ("lstm", "gru")))
    assert [row.model for row in summary.rows] == ["gru", "lstm"]
    assert not summary.tested
    assert summary.rows[1].text_p is None and summary.rows[1].test is None


def test_failures_and_trials(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    records.add(failed("gru"))
    assert summarise(Comparison(records, ("gru",))).reference is None
    for number in range(3):
        records.add(trial("lstm", 1.4, number))
    # One that no float can hold is last of those that have figures.
    records.add(run_of("lstm", 1.5))
    records.add(run_of("mgu", 800.0))
    summary = summarise(Comparison(records, ("gru", "mgu", "lstm")))
    assert [row.model for row in summary.rows][0] == "lstm"
    assert summary.rows[0].trials == 3 and summary.tuned
    assert summary.rows[0].to_dict()["runs"] == ["lstm-seed0"]


def test_too_few_blocks_for_a_test(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    for model, loss in (("lstm", 1.5), ("gru", 1.9)):
        records.add(run_of(model, loss), blocks_of(loss, 0, 0.0)[:5])
    summary = summarise(Comparison(records, ("lstm", "gru")))
    assert summary.rows[1].text_p is None
    assert "p, text" not in plain_table(summary)
    assert "The test text is too short for a paired test." in remarks(summary)


def test_one_model_that_is_able_is_compared_with_nobody(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    records.add(run_of("lstm", 1.5), blocks_of(1.5, 0, 0.1))
    records.add(failed("gru"))
    said = remarks(summarise(Comparison(records, ("lstm", "gru"))))
    assert not any("too short" in sentence for sentence in said)
