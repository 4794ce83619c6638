"""Encode pieces of text in order, on one core or on all of them.

The processes are plain `python -m keras_rnnlm.data.worker` children fed through pipes:
forking is not safe once JAX runs threads, and multiprocessing's other ways to start
a process run the user's main script again.
"""

import json
import queue
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO

import numpy as np

import keras_rnnlm.errors
from keras_rnnlm.child_python import environment, python
from keras_rnnlm.data.pieces import EncodedPiece, Piece, encode_piece, id_dtype
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.processor import visible_cores

# Below this much text a second process costs more than it saves.
_WORTH_PROCESSES = 32_000_000
_RESULT = struct.Struct("<BQQQQ")
_REQUEST = struct.Struct("<BQ")


def encode_pieces(
    pieces: Iterable[Piece], tokenizer: Tokenizer, processes: int
) -> Iterator[EncodedPiece]:
    """Encode pieces in their order, on as many processes as given.

    Args:
        pieces: pieces of any number of files.
        tokenizer: what turns text into ids.
        processes: with 1, all is done in this process.

    Raises:
        RNNLMError: of the kind that the tokenizer raised.
        RuntimeError: a process ended before its time.
    """
    if processes == 1:
        for piece in pieces:
            yield encode_piece(piece, tokenizer)
        return
    workers = [_Worker(tokenizer) for _ in range(processes)]
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def encode(piece: Piece) -> EncodedPiece:
        worker = idle.get()
        try:
            return worker.encode(piece)
        finally:
            idle.put(worker)

    under_way: deque[Future[EncodedPiece]] = deque()
    try:
        with ThreadPoolExecutor(processes) as threads:
            try:
                for piece in pieces:
                    under_way.append(threads.submit(encode, piece))
                    if len(under_way) > 2 * processes:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()
    finally:
        for worker in workers:
            worker.close()


def process_count(characters: int) -> int:
    """Return how many processes to encode a text of this size with."""
    if characters < _WORTH_PROCESSES or not sys.executable:
        return 1
    return visible_cores()


class _Worker:
    """One child process that encodes what it is sent."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._dtype = id_dtype(tokenizer.vocabulary_size)
        self._process = subprocess.Popen(
            python("keras_rnnlm.data.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The children are the parallelism.
            env=environment(TOKENIZERS_PARALLELISM="false"),
        )
        self._set_up = json.dumps([tokenizer.to_json(), tokenizer.settings()])

    def encode(self, piece: Piece) -> EncodedPiece:
        """Send a piece, wait for its ids."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("Expected the encoding process to have pipes.")
        try:
            if self._set_up:
                write_text(stdin, False, self._set_up)
                self._set_up = ""
            write_text(stdin, piece.last, piece.text)
            failed, ids, oov, words, lines = _RESULT.unpack(
                read_exactly(stdout, _RESULT.size)
            )
            if failed:
                name, message = json.loads(read_exactly(stdout, ids))
                raise getattr(keras_rnnlm.errors, name)(message)
            return EncodedPiece(
                piece,
                np.frombuffer(
                    read_exactly(stdout, ids * self._dtype().itemsize), self._dtype
                ),
                np.frombuffer(read_exactly(stdout, oov * 8), np.int64),
                words,
                lines,
            )
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(
                "A process that encodes text ended before its time (exit status "
                f"{self._process.wait()}). Was it stopped, or is memory short? "
                "With processes=1 no other process is used."
            ) from error

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what a dead process did not take
                    pipe.close()
        self._process.wait()


def write_text(pipe: IO[bytes], last: bool, text: str) -> None:
    """Send a text: its flag, its size, its bytes."""
    data = text.encode("utf-8", "surrogatepass")
    pipe.write(_REQUEST.pack(last, len(data)))
    pipe.write(data)
    pipe.flush()


def read_text(pipe: IO[bytes]) -> tuple[bool, str]:
    """Receive what `write_text` sent; EOFError at the end."""
    last, size = _REQUEST.unpack(read_exactly(pipe, _REQUEST.size))
    return bool(last), read_exactly(pipe, size).decode("utf-8", "surrogatepass")


def write_result(pipe: IO[bytes], result: EncodedPiece) -> None:
    """Send the ids of a piece."""
    counts = (len(result.ids), len(result.oov), result.words, result.lines)
    pipe.write(_RESULT.pack(0, *counts))
    pipe.write(result.ids.tobytes())
    pipe.write(result.oov.tobytes())
    pipe.flush()


def write_error(pipe: IO[bytes], error: keras_rnnlm.errors.RNNLMError) -> None:
    """Send an exception of ours in the place of ids."""
    data = json.dumps([type(error).__name__, str(error)]).encode()
    pipe.write(_RESULT.pack(1, len(data), 0, 0, 0))
    pipe.write(data)
    pipe.flush()


def read_exactly(pipe: IO[bytes], size: int) -> bytes:
    """Read `size` bytes; EOFError where the pipe ends before."""
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
