"""Where the package keeps what it can make again."""

from pathlib import Path

import pytest

from keras_rnnlm.user_cache import cache_folder


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder("given") == Path("given")
    monkeypatch.setenv("RNNLM_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_folder(None) == tmp_path / "a"
    monkeypatch.delenv("RNNLM_CACHE")
    assert cache_folder(None) == tmp_path / "b" / "keras-rnnlm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder(None) == Path.home() / ".cache" / "keras-rnnlm"
