import re
from pathlib import Path

import pytest

from keras_rnnlm import code_hash as module
from keras_rnnlm.code_hash import code_hash


def test_own_files_count_as_they_stood_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "imported_files", lambda: ())
    plain = code_hash()
    assert re.fullmatch("[0-9a-f]{64}", plain)
    own = tmp_path / "my_cell.py"
    own.write_text("UNITS = 1\n")
    monkeypatch.setattr(module, "imported_files", lambda: (own,))
    begun = code_hash()
    assert begun != plain
    own.write_text("UNITS = 2\n")  # too late: this process runs what it had read
    assert code_hash() == begun
    monkeypatch.setattr(module, "imported_files", lambda: ())
    assert code_hash() == plain
