from pathlib import Path

from keras_rnnlm.file_lock import try_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = path.open("ab")
    assert try_lock(first)
    with path.open("ab") as second:
        assert not try_lock(second)
    first.close()
    with path.open("ab") as third:
        assert try_lock(third)
