"""Time and memory that reading a large file of word vectors takes.

    python benchmarks/word_vectors.py --megabytes 2000 --json results/word_vectors.json

Files of that size are made, of words and numbers by chance, and read for a vocabulary
of some of their words. Each is read in a process of its own; the highest resident size
of that process is read from the kernel, the imports included. A file that has just been
written comes from the system's cache, so this is the speed of reading, not of a disk.
Linux only.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.bench.record import write_figures

WAYS = ("text", "binary", "text.gz")
_BLOCK = 512  # vectors


def main() -> None:
    """Print a table and, with --json, write the figures as JSON."""
    arguments = _arguments()
    if arguments.read:
        print(json.dumps(_read(arguments)))
        return
    rows = []
    print(
        f"{'file':<10}{'MB':>8}{'words':>12}{'kept':>9}{'s':>8}{'MB/s':>8}"
        f"{'peak MB':>9}"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for way in arguments.ways:
            path = Path(folder) / f"vectors.{way}"
            _make(path, way, int(arguments.megabytes * 1e6), arguments.width)
            figure = _in_a_process(path, arguments)
            path.unlink()
            rows.append({"file": way, "width": arguments.width, **figure})
            print(
                f"{way:<10}{figure['MB']:>8.0f}{figure['words']:>12,}"
                f"{figure['kept']:>9,}{figure['seconds']:>8.2f}{figure['MB/s']:>8.0f}"
                f"{figure['peak MB']:>9.0f}"
            )
    title = "Reading word vectors for a vocabulary; MB are those of the text or binary"
    write_figures(arguments.json, "word_vectors", sys.argv[1:], title, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2000)
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--vocabulary", type=int, default=10_000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--folder", type=Path, help="where the files are made")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--read", type=Path, help="read this file here, as JSON")
    return parser.parse_args()


def _make(path: Path, way: str, size: int, width: int) -> None:
    """Write a file of about `size` bytes, before it is compressed.

    The compressed one is of GloVe's format, which has no header.
    """
    words = written = 0
    with gzip.open(path, "wb", 1) if way == "text.gz" else path.open("wb") as file:
        if way != "text.gz":
            file.write(_header(0, width))
        for block in _blocks(way, width):
            file.write(block)
            written, words = written + len(block), words + _BLOCK
            if written >= size:
                break
        if way != "text.gz":
            file.seek(0)
            file.write(_header(words, width))


def _header(words: int, width: int) -> bytes:
    """Return a first line that is as long for any number of words."""
    return f"{words:012d} {width:06d}\n".encode()


def _blocks(way: str, width: int) -> Iterator[bytes]:
    """Yield 512 vectors at a time, without end.

    Numbers repeat after a block, words do not: only words matter to a reader.
    """
    rows = np.random.default_rng(0).normal(0, 0.4, (_BLOCK, width)).astype("<f4")
    if way == "binary":
        bodies = [row.tobytes() for row in rows]
    else:
        bodies = [" ".join(f"{n:.5f}" for n in row).encode() + b"\n" for row in rows]
    first = 0
    while True:
        yield b"".join(b"w%d " % (first + i) + body for i, body in enumerate(bodies))
        first += _BLOCK


def _in_a_process(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--read", str(path)),
            *("--vocabulary", str(arguments.vocabulary)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figure: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figure


def _read(arguments: argparse.Namespace) -> dict[str, Any]:
    from keras_rnnlm.data.vector_files import Tally, VectorFile
    from keras_rnnlm.data.vectors import read_vectors
    from keras_rnnlm.data.word_tokenizer import WordTokenizer

    tally = Tally()
    # The most frequent words are the first ones of a file, the others anywhere.
    half = arguments.vocabulary // 2
    frequent = [f"w{i}" for i in range(half)]
    others = [f"w{half + 7 * i}" for i in range(arguments.vocabulary - half)]
    tokenizer = WordTokenizer(frequent + others, unk_is_word=False)
    begun = time.perf_counter()
    vectors = read_vectors(arguments.read, tokenizer)
    seconds = time.perf_counter() - begun
    for _ in VectorFile(arguments.read).entries((), tally):
        pass
    return {
        "MB": tally.size / 1e6,
        "words": vectors.entries,
        "kept": len(vectors.ids),
        "seconds": seconds,
        "MB/s": tally.size / 1e6 / seconds,
        "peak MB": _resident("VmHWM") / 1e6,
    }


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


if __name__ == "__main__":
    main()
