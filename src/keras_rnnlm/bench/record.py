"""The record of a benchmark whose figures are one flat table."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keras_rnnlm.bench.versions import versions
from keras_rnnlm.machine import machine

Row = Mapping[str, Any]


def write_figures(
    path: Path | None,
    script: str,
    arguments: Sequence[str],
    title: str,
    rows: Sequence[Row],
) -> None:
    """Write a record that `benchmarks/tables.py` turns into a table.

    Args:
        path: Where to; None writes nothing.
        script: Name of the script in `benchmarks/`, without its ending.
        arguments: What was typed after it.
        title: What the rows are.
        rows: Flat dictionaries; their keys are the table's columns.

    Raises:
        OSError: If the file cannot be written.
    """
    if path is None:
        return
    named = [Path(word).name if "/" in word else word for word in arguments]
    record = {
        "kind": "figures",
        "format": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", f"benchmarks/{script}.py", *named]),
        "machine": machine(),
        "versions": versions(),
        "title": title,
        "rows": [dict(row) for row in rows],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
