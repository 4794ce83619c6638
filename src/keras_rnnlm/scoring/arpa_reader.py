"""Reading an ARPA file, line by line, into tables over the ids of a tokenizer."""

import gzip
import math
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.arpa_fields import columns_of
from keras_rnnlm.scoring.arpa_words import ids_of_tokens, unescape
from keras_rnnlm.scoring.ngram_tables import NOWHERE, Floats, NGramTable

_LOG10 = math.log(10)
_NEVER = -90.0  # log10 of a probability that stands for 0
_BLOCK = 1 << 16
_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 1 << 20
_START, _END, _UNKNOWN = b"<s>", b"</s>", (b"<unk>", b"<UNK>")


@dataclass(frozen=True, eq=False)
class Read:
    """What was read.

    Attributes:
        tables: Unigrams, bigrams and so on.
        sentence_end: The id that ends a sentence, None for a stream.
        left_out: Number of n-grams with words that the tokenizer lacks.
    """

    tables: tuple[NGramTable, ...]
    sentence_end: int | None
    left_out: int


@dataclass(frozen=True, eq=False)
class _Section:
    """The lines of one length.

    Attributes:
        symbols: (lines, length) the symbol of each word, `NOWHERE` for those that the
            tokenizer lacks.
        words: The words of unigrams; empty for longer n-grams.
        logs: (lines,) base-10 logarithms of probabilities.
        backoffs: (lines,) base-10 logarithms of weights.
        lines: (lines,) number of each line in the file.
    """

    symbols: NDArray[np.int64]
    words: list[bytes]
    logs: Floats
    backoffs: Floats
    lines: NDArray[np.int64]


class ArpaReader:
    """Reads one file; see `arpa.read_arpa`.

    Args:
        path: The file.
        tokenizer: Whose ids the model is to speak of.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer) -> None:
        """See the class."""
        self._path, self._tokenizer = path, tokenizer
        self._base = tokenizer.vocabulary_size + 1
        self._number = 0  # of the line that was read last
        self._left_out = 0
        self._log_sharers = 0.0  # of the number of tokens that share `<unk>`
        self._ids: dict[bytes, int] = {}
        self._tables: list[NGramTable] = []

    def read(self) -> Read:
        """Read the file."""
        with ExitStack() as stack:
            try:
                stream: BinaryIO = stack.enter_context(self._path.open("rb"))
                if stream.read(2) == _GZIP:
                    stream.seek(0)
                    stream = stack.enter_context(gzip.open(stream))  # type: ignore[assignment]
                else:
                    stream.seek(0)
                return self._read(stream)
            except (OSError, EOFError, zlib.error) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise InputError(
                    f"Cannot read the ARPA file '{self._path}': {reason}."
                ) from error

    def _read(self, stream: BinaryIO) -> Read:
        counts = self._header(stream)
        sentence_end = None
        for n, count in enumerate(counts, 1):
            section = self._section(stream, n, count, n == len(counts))
            if n == 1:
                sentence_end = self._learn_words(section)
                self._tables.append(self._unigrams(section))
            else:
                self._tables.append(self._longer(section))
        if (line := self._next_filled(stream)) != b"\\end\\":
            self._fail("\\end\\ behind the last n-gram", line)
        return Read(tuple(self._tables), sentence_end, self._left_out)

    def _header(self, stream: BinaryIO) -> list[int]:
        r"""Return the numbers of n-grams that stand behind `\data\`."""
        while (line := self._line(stream)) is not None and line != b"\\data\\":
            pass  # anything may stand before it
        if line is None:
            raise InputError(
                f"{self._path}: expected an ARPA file, with a line \\data\\, received "
                "a file without one. A binary model of KenLM or SRILM has to be "
                "written as ARPA first."
            )
        counts: list[int] = []
        while line := self._line(stream):
            name, _, number = line.partition(b"=")
            if name.split() != [b"ngram", b"%d" % (len(counts) + 1)]:
                self._fail(f"ngram {len(counts) + 1}=N", line)
            if not number.strip().isdigit():
                self._fail("a whole number behind '='", line)
            counts.append(int(number))
        if not counts:
            self._fail("ngram 1=N behind \\data\\", line)
        return counts

    def _section(self, stream: BinaryIO, n: int, count: int, last: bool) -> _Section:
        """Read the n-grams of one length."""
        if (line := self._next_filled(stream)) != b"\\%d-grams:" % n:
            self._fail(f"\\{n}-grams:", line)
        words: list[bytes] = []
        symbols, logs, backoffs, numbers = [], [], [], []
        left = count
        while left:
            first = self._number + 1
            lines = list(islice(stream, min(left, _BLOCK)))
            self._number += len(lines)
            columns = columns_of(lines, n)
            if columns is None or len(lines) < min(left, _BLOCK):
                self._complain(lines, first, n, count)
            if n == 1:
                words += columns[1]
            else:
                symbols.append(self._symbols(columns[1:-1]))
            logs.append(self._numbers(columns[0], first))
            backoffs.append(self._numbers(columns[-1], first))
            numbers.append(np.arange(first, first + len(lines)))
            left -= len(lines)
        empty = np.empty(0)
        section = _Section(
            np.concatenate([np.empty((0, n), np.int64), *symbols]),
            words,
            np.concatenate([empty, *logs]),
            np.concatenate([empty, *backoffs]),
            np.concatenate([empty, *numbers]).astype(np.int64),
        )
        self._check(section, last)
        return section

    def _check(self, section: _Section, last: bool) -> None:
        """Refuse numbers that are no logarithms of probabilities or weights."""
        if len(bad := np.flatnonzero(~(section.logs <= 0))):
            self._refuse(section, bad, "a log10 probability of 0 or less", section.logs)
        wrong = section.backoffs != 0 if last else ~np.isfinite(section.backoffs)
        if len(bad := np.flatnonzero(wrong)):
            expected = "no back-off for the longest n-grams" if last else "a number"
            self._refuse(section, bad, expected, section.backoffs)

    def _learn_words(self, section: _Section) -> int | None:
        """Say which id each word of the file is; return that which ends a sentence."""
        known = ids_of_tokens(self._tokenizer)
        end = self._tokenizer.line_end_id
        logs = dict(zip(section.words, section.logs.tolist(), strict=True))
        # A file with a word for the line end itself runs on through it.
        spelt = {known.get(unescape(word)) for word in logs if word != _END}
        ended = logs.get(_END, _NEVER) > _NEVER and end not in spelt
        sentence_end = end if ended else None
        for word in section.words:
            if word == _START:
                self._ids[word] = self._base - 1
            elif word == _END:
                if sentence_end is not None:
                    self._ids[word] = sentence_end
            elif word in _UNKNOWN:
                if self._tokenizer.unk_id is not None:
                    self._ids[word] = self._tokenizer.unk_id
            elif (index := known.get(unescape(word))) is not None:
                self._ids[word] = index
        special = (_START, _END, *_UNKNOWN)
        if not any(word not in special for word in self._ids):
            raise InputError(
                f"{self._path}: expected words that the model's {self._tokenizer.kind} "
                f"vocabulary has, received {len(section.words)} that it lacks. "
                "Estimate an n-gram model on text of this vocabulary."
            )
        return sentence_end

    def _unigrams(self, section: _Section) -> NGramTable:
        """Return a unigram of each symbol."""
        symbols = self._symbols([section.words])[:, 0]
        logs = np.full(self._base, -np.inf)
        backoffs = np.zeros(self._base)
        kept = np.flatnonzero(symbols != NOWHERE)
        self._refuse_twice(section, kept, symbols[kept])
        logs[symbols[kept]] = _natural(section.logs[kept])
        backoffs[symbols[kept]] = section.backoffs[kept] * _LOG10
        foreign = [
            word
            for word in section.words
            if word not in self._ids and word not in (_END, *_UNKNOWN)
        ]
        self._left_out += len(foreign)
        self._share_unknown(section, symbols, logs)
        return NGramTable(np.arange(self._base), logs, backoffs)

    def _share_unknown(
        self, section: _Section, symbols: NDArray[np.int64], logs: Floats
    ) -> None:
        """Give tokens that the file lacks an even share of its `<unk>`."""
        there = [place for place, word in enumerate(section.words) if word in _UNKNOWN]
        if not there:
            return
        absent = np.ones(self._base, np.bool_)
        absent[symbols[symbols != NOWHERE]] = False
        absent[self._base - 1] = False  # the start is never predicted
        if self._tokenizer.unk_id is not None:
            absent[self._tokenizer.unk_id] = True
        if absent.any():
            whole = _natural(section.logs[there[:1]])[0]
            self._log_sharers = math.log(np.count_nonzero(absent))
            logs[absent] = whole - self._log_sharers

    def _longer(self, section: _Section) -> NGramTable:
        """Return the table of n-grams longer than one, `<unk>` in them shared too."""
        columns = section.symbols.T
        ours = (columns != NOWHERE).all(axis=0)
        kept = np.flatnonzero(ours)
        self._left_out += len(ours) - len(kept)
        contexts = columns[0][kept]
        for table, column in zip(self._tables[1:], columns[1:-1], strict=True):
            contexts = table.find(contexts, column[kept], self._base)
        if len(lost := kept[contexts == NOWHERE]):
            self._refuse(section, lost, "an n-gram whose first words are one too")
        keys = contexts * self._base + columns[-1][kept]
        order = np.argsort(keys, kind="stable")
        self._refuse_twice(section, kept[order], keys[order])
        kept, keys = kept[order], keys[order]
        logs = _natural(section.logs[kept])
        if (unknown := self._tokenizer.unk_id) is not None:
            # The others that share it have their parts by the back-off: were it whole
            # here, the sum over the vocabulary would be above one.
            logs[keys % self._base == unknown] -= self._log_sharers
        return NGramTable(keys, logs, section.backoffs[kept] * _LOG10)

    def _symbols(self, columns: list[list[bytes]]) -> NDArray[np.int64]:
        """Return the symbols (words, columns) of words."""
        found = np.empty((len(columns[0]), len(columns)), np.int64)
        for place, words in enumerate(columns):
            ids = map(self._ids.get, words, repeat(NOWHERE))
            found[:, place] = np.fromiter(ids, np.int64, len(words))
        return found

    def _numbers(self, fields: list[bytes], first: int) -> Floats:
        try:
            return np.array([*map(float, fields)], np.float64)
        except ValueError:
            for number, field in enumerate(fields, first):
                try:
                    float(field)
                except ValueError:
                    self._number = number
                    self._fail("a number", field)
            raise

    def _refuse_twice(
        self, section: _Section, places: NDArray[np.int64], keys: NDArray[np.int64]
    ) -> None:
        """Refuse an n-gram that stands there twice."""
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(np.diff(keys[order]) == 0) + 1
        if len(same):
            self._refuse(section, places[order[same]], "each n-gram once")

    def _refuse(
        self,
        section: _Section,
        places: NDArray[np.int64],
        expected: str,
        values: Floats | None = None,
    ) -> NoReturn:
        """Raise InputError about the first of some n-grams."""
        place = int(places.min())
        self._number = int(section.lines[place])
        words = b" ".join(self._spelt(section, place))
        self._fail(expected, words if values is None else b"%g" % values[place])

    def _spelt(self, section: _Section, place: int) -> list[bytes]:
        """Return the words of an n-gram."""
        if section.words:
            return section.words[place : place + 1]
        word_of = {symbol: word for word, symbol in self._ids.items()}
        return [word_of[symbol] for symbol in section.symbols[place].tolist()]

    def _complain(self, lines: list[bytes], first: int, n: int, count: int) -> NoReturn:
        """Raise InputError about the first line that is no n-gram of this length."""
        for number, line in enumerate(map(bytes.strip, lines), first):
            if len(line.split()) not in (n + 1, n + 2):
                self._number = number
                if not line or line.startswith(b"\\"):
                    self._fail(f"{count} {n}-grams, as the header says", line)
                self._fail(f"a number, {n} words and perhaps a back-off", line)
        self._number = first + len(lines)
        self._fail(f"{count} {n}-grams, as the header says", None)

    def _next_filled(self, stream: BinaryIO) -> bytes | None:
        while (line := self._line(stream)) == b"":
            pass
        return line

    def _line(self, stream: BinaryIO) -> bytes | None:
        """Return the next line without white space around it, None at the end."""
        line = stream.readline(_LONGEST_LINE)
        self._number += 1
        return line.strip() if line else None

    def _fail(self, expected: str, received: bytes | None) -> NoReturn:
        if received is None:
            found = "the end of the file"
        else:
            text = received.decode("utf-8", "replace")
            found = f"'{text[:60]}'" if text else "an empty line"
        raise InputError(
            f"{self._path}: line {self._number}: expected {expected}, received {found}."
        )


def _natural(logs: Floats) -> Floats:
    """Return natural logarithms of base-10 ones; -inf where they stand for 0."""
    return np.where(logs > _NEVER, logs * _LOG10, -np.inf)
