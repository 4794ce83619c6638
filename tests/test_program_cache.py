"""Compiled programs kept between processes: whole files, no loss, no difference."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm import program_cache
from keras_rnnlm.program_cache import ProgramCache
from tests.conftest import CHECKOUT, only_on

SCRIPT = """
import json, os, sys
from keras_rnnlm.program_cache import keep_programs
keep_programs()
import jax, jax.numpy as jnp
hits = []
jax.monitoring.register_event_listener(
    lambda name, **_: hits.append(name) if name.endswith("/cache_hits") else None
)
x = jax.random.normal(jax.random.key(0), (64, 64))
y = jax.jit(lambda x: jnp.tanh(x @ x).sum(axis=0))(x)
if "--wait" in sys.argv:
    print("compiled", flush=True)
    sys.stdin.read()
print(json.dumps({"hits": len(hits), "bytes": bytes(y).hex()}))
"""


def put(folder: Path, name: str, data: bytes = b"program") -> None:
    (folder / f"{name}-cache").write_bytes(data)


def kept(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}


def test_what_one_process_compiles_the_next_one_has(tmp_path: Path) -> None:
    first = ProgramCache(tmp_path)
    put(first.private, "a")
    assert kept(tmp_path) == {}
    first.publish()
    beside = ProgramCache(tmp_path)
    put(first.private, "b", b"first")
    put(beside.private, "b", b"beside")
    first.publish()
    beside.publish()
    first.close()
    beside.close()
    assert kept(tmp_path) == {"a-cache": b"program", "b-cache": b"first"}
    third = ProgramCache(tmp_path)
    assert {"a-cache", "b-cache"} < set(kept(third.private))
    third.close()
    assert [file for file in tmp_path.iterdir() if file.is_dir()] == []


def test_a_file_system_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    cache = ProgramCache(tmp_path)
    put(cache.private, "a")
    cache.publish()
    cache.close()
    assert kept(tmp_path) == {"a-cache": b"program"}
    other = ProgramCache(tmp_path)
    assert "a-cache" in kept(other.private)
    other.close()


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_cache, "LIMIT", 25)
    cache = ProgramCache(tmp_path)
    for age, name in enumerate("dcba"):
        put(cache.private, name, b"0123456789")
        os.utime(cache.private / f"{name}-cache", (0, 1000 - age))
        cache.publish()
    cache.close()
    assert sorted(kept(tmp_path)) == ["c-cache", "d-cache"]


def test_folders_of_killed_processes_go_those_of_living_ones_stay(
    tmp_path: Path,
) -> None:
    living = ProgramCache(tmp_path)
    killed = tmp_path / "process-1-dead"
    killed.mkdir()
    (killed / "lock").touch()
    for folder in (living.private, killed):
        os.utime(folder, (0, 0))
    ProgramCache(tmp_path).close()
    assert living.private.exists()
    living.close()
    assert not killed.exists()


def environment(cache: Path, **others: str) -> dict[str, str]:
    paths = [str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    kept = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RNNLM_CACHE": str(cache),
        "RNNLM_PROGRAMS": "",
        **others,
    }


def run(cache: Path, **others: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment(cache, **others),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_second_process_compiles_nothing_and_computes_the_same(
    tmp_path: Path,
) -> None:
    only_on("jax")
    first, second = run(tmp_path), run(tmp_path)
    assert first["hits"] == 0
    assert second["hits"] > 0
    assert second["bytes"] == first["bytes"]
    assert run(tmp_path / "other", RNNLM_PROGRAMS="off")["bytes"] == first["bytes"]
    assert not (tmp_path / "other").exists()
    (folder,) = (tmp_path / "programs").iterdir()
    assert folder.stat().st_mode & 0o077 == 0


def test_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    only_on("jax")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "--wait"],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (folder,) = (tmp_path / "programs").iterdir()
    (left,) = folder.iterdir()
    # As if it had been killed while JAX wrote.
    for file in left.glob("*-cache"):
        file.write_bytes(file.read_bytes()[:20])
    os.utime(left, (time.time() - 3600,) * 2)
    assert run(tmp_path)["hits"] == 0
    assert run(tmp_path)["hits"] > 0
    assert not left.exists()
