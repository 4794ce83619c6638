"""Compile the C++ kernels once for a machine and keep the library in the user's cache.

The library's name is a hash of everything it depends on: sources, XLA's headers, the
compiler, the processor and the options. So a changed one is another file, and nothing
has to be thrown away. Its sources are compiled side by side, and it is moved to its
place in one step: several processes that start at once do no harm.
"""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import MappingProxyType

from keras_rnnlm.errors import RNNLMError
from keras_rnnlm.file_lock import try_lock
from keras_rnnlm.processor import has_matrix_unit, processor_flags
from keras_rnnlm.user_cache import cache_folder

SOURCES = Path(__file__).resolve().parent

COMPILERS = ("g++", "clang++", "c++")

# Options of each instruction set, the widest first. "avx512" is for the machine at
# hand, whose bfloat16 and int8 dot products are used where it has them; "amx" has a
# matrix unit multiply bfloat16 besides.
TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "amx": ("-march=native", "-mprefer-vector-width=512", "-DRNNLM_AMX"),
        "avx512": ("-march=native", "-mprefer-vector-width=512"),
        "avx2": ("-mavx2", "-mfma"),
        "portable": (),
    }
)

OPTIONS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-pthread",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wno-psabi",
)

_log = logging.getLogger("keras_rnnlm")


class BuildError(RNNLMError):
    """The kernels cannot be compiled here; the message says why."""


def best_target() -> str:
    """Return the widest instruction set that this processor has: a key of `TARGETS`."""
    flags = processor_flags()
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= flags:
        return "amx" if has_matrix_unit() else "avx512"
    return "avx2" if {"avx2", "fma"} <= flags else "portable"


def runnable_targets() -> list[str]:
    """Return the instruction sets that this processor has, the widest first."""
    targets = list(TARGETS)
    return targets[targets.index(best_target()) :]


def compiler() -> tuple[str, ...]:
    """Return the command of the C++ compiler: `$CXX`, or the first one found.

    `$CXX` is the name or path of a program, or one with arguments: `ccache g++`.

    Returns:
        The program's path, and its arguments if there are any.

    Raises:
        BuildError: There is none.
    """
    chosen = os.environ.get("CXX")
    for name in (chosen,) if chosen else COMPILERS:
        if path := shutil.which(name):
            return (path,)
    with suppress(ValueError):  # no word, or a quote that is not closed
        program, *arguments = shlex.split(chosen or "")
        if path := shutil.which(program):
            return path, *arguments
    raise BuildError(f"no C++ compiler ({chosen or ', '.join(COMPILERS)}) was found")


def build(
    target: str, include: str, folder: Path | None = None, extra: tuple[str, ...] = ()
) -> Path:
    """Return the path of the library, compiled now if it is not there yet.

    Args:
        target: A key of `TARGETS`.
        include: Folder of XLA's FFI headers.
        folder: Where to keep it; `native` in the user's cache if absent.
        extra: More options for the compiler.

    Raises:
        BuildError: There is no compiler, or it failed.
    """
    command = compiler()
    options = (*OPTIONS, *TARGETS[target], *extra)
    folder = cache_folder() / "native" if folder is None else folder
    path = folder / f"kernels-{target}-{_key(command, include, options)}.so"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "building.lock").open("ab") as lock:
            while not try_lock(lock):  # another process is at it: its library will do
                time.sleep(0.1)
            if not path.exists():
                _log.info(
                    "Compiling the CPU kernels for this processor, once: about a "
                    "quarter of a minute."
                )
                _make(path, command, ("-I", include, *options))
    except OSError as error:
        raise BuildError(f"the library cannot be written: {error}") from error
    return path


def _make(path: Path, command: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Compile all sources side by side, link them, move the library to its place."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch, ThreadPool() as pool:
        jobs = [(source, scratch) for source in sorted(SOURCES.glob("*.cc"))]
        pool.map(partial(_compile, command, options), jobs)
        made = Path(scratch, path.name)
        objects = map(str, sorted(Path(scratch).glob("*.o")))
        _run(*command, *options, "-shared", *objects, "-o", str(made))
        os.replace(made, path)


def _compile(
    command: tuple[str, ...], options: tuple[str, ...], job: tuple[Path, str]
) -> None:
    source, folder = job
    to = Path(folder, f"{source.stem}.o")
    _run(*command, *options, "-c", str(source), "-o", str(to))


def _run(*command: str) -> None:
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if result.returncode != 0:
        raise BuildError(
            f"{command[0]} failed with exit code {result.returncode}: "
            f"{_first_error(result.stderr)}"
        )


def _key(command: tuple[str, ...], include: str, options: tuple[str, ...]) -> str:
    digest = hashlib.sha256()

    def add(*parts: str) -> None:
        for part in parts:
            digest.update(part.encode() + b"\0")

    version = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, check=False
    ).stdout
    add(version, *command[1:], platform.machine(), *sorted(processor_flags()), *options)
    headers = sorted(Path(include, "xla", "ffi", "api").glob("*.h"))
    for file in (*sorted(SOURCES.glob("*.cc")), *sorted(SOURCES.glob("*.h")), *headers):
        add(file.name, file.read_text(encoding="utf-8"))
    return digest.hexdigest()[:16]


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line]
    return (lines or text.splitlines() or ["it said nothing"])[0].strip()
