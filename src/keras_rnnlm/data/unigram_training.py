"""Unigram pieces: the set of pieces under which a text is most likely (Kudo 2018).

Begin with many frequent substrings. In turn, find each word's best segmentation, count
the pieces in use, make the counts their probabilities, and drop the pieces whose loss
costs the text least. (Kudo sums over all segmentations; the best one alone, "hard"
expectation-maximisation, is quicker.) Everything is ordered by score and then by code
point, so that the same counts always give the same pieces: the library's own trainer
gives others from run to run, and takes minutes for Chinese text.

A piece is a string of characters, or a single byte for a character that is no piece.
"""

import math
from collections import Counter
from collections.abc import Mapping

LONGEST_PIECE = 8
LETTERS_USED = 300_000  # characters of different words that are looked at
_ROUND_KEEPS = 0.6
_SEEDS = 6
_ROUNDS_OF_COUNTING = 2

Scores = dict[str, float]


class UnigramPieces:
    """Pieces with their log-probabilities (natural), improved step by step.

    Attributes:
        scores: characters and longer strings.
        byte_scores: the 256 bytes. ASCII characters are bytes.
    """

    def __init__(self, words: Mapping[str, int], size: int) -> None:
        """Take counted words, and begin with the most frequent substrings."""
        self._words = dict(words)
        self._used: Counter[str] = Counter()
        self.byte_scores = [-math.log(256)] * 256
        found: Counter[str] = Counter()
        for word, count in words.items():
            for start in range(len(word)):
                for stop in range(start + 1, min(start + LONGEST_PIECE, len(word)) + 1):
                    found[word[start:stop]] += count
        worth = {
            piece: count * len(piece)
            for piece, count in found.items()
            if not _is_byte(piece) and (count > 1 or len(piece) == 1)
        }
        kept = _best(worth, _SEEDS * size)
        self.scores: Scores = {}
        self._set_scores({piece: found[piece] for piece in kept}, found)

    def improve(self) -> None:
        """Make the pieces' shares in the best segmentations their probabilities."""
        for _ in range(_ROUNDS_OF_COUNTING):
            used: Counter[str] = Counter()
            for word, count in self._words.items():
                for piece in self._segment(word)[0]:
                    used[piece] += count
            kept = {piece: used[piece] for piece in self.scores if used[piece]}
            self._set_scores(kept, used)
            self._used = used

    def prune(self, size: int) -> None:
        """Keep the `size` pieces without which the text would lose most."""
        loss = {}
        for piece, score in self.scores.items():
            _, other = self._segment(piece, without=piece)
            loss[piece] = self._used[piece] * (score - other)
        kept = _best(loss, size)
        self.scores = {piece: self.scores[piece] for piece in kept}

    def _set_scores(self, kept: Mapping[str, int], used: Mapping[str, int]) -> None:
        """Give pieces and bytes the logarithms of their shares."""
        per_byte = [0.1] * 256  # a byte that never came may come
        for piece, count in used.items():
            if len(piece) == 1 and piece not in kept:
                for byte in piece.encode():
                    per_byte[byte] += count
        total = sum(kept.values()) + sum(per_byte)
        self.scores = {piece: math.log(count / total) for piece, count in kept.items()}
        self.byte_scores = [math.log(count / total) for count in per_byte]
        self._spelled: Scores = {}

    def _spell(self, character: str) -> float:
        """Return the score of a character written in bytes."""
        score = self._spelled.get(character)
        if score is None:
            score = sum(self.byte_scores[byte] for byte in character.encode())
            self._spelled[character] = score
        return score

    def _segment(self, word: str, without: str = "") -> tuple[list[str], float]:
        """Return the best segmentation of a word, one piece left out, and its score.

        By dynamic programming over the first so many characters (Viterbi).
        """
        known = self.scores.get
        best = [0.0]
        begins = [0]
        for stop in range(1, len(word) + 1):
            start = stop - 1
            single = word[start]
            score = known(single) if single != without else None
            top = best[start] + (self._spell(single) if score is None else score)
            begin = start
            for start in range(stop - 2, max(stop - LONGEST_PIECE, 0) - 1, -1):
                piece = word[start:stop]
                score = known(piece)
                if score is not None and best[start] + score > top and piece != without:
                    top = best[start] + score
                    begin = start
            best.append(top)
            begins.append(begin)
        pieces = []
        stop = len(word)
        while stop:
            pieces.append(word[begins[stop] : stop])
            stop = begins[stop]
        return pieces[::-1], best[-1]


def train_unigram(counts: Mapping[str, int], size: int) -> list[tuple[bytes, float]]:
    """Find `size` pieces for some words.

    Args:
        counts: words (with the space before them) and how often each was seen. The most
            frequent ones, 300,000 characters of them, are used.
        size: pieces wanted, the 256 bytes among them. Few words give fewer.

    Returns:
        Pieces as bytes and log-probabilities, highest first.
    """
    words: dict[str, int] = {}
    letters = 0
    for word in _best(counts, len(counts)):
        if letters >= LETTERS_USED:
            break
        part = word[: LETTERS_USED - letters]
        words[part] = words.get(part, 0) + counts[word]
        letters += len(part)
    room = size - 256
    pieces = UnigramPieces(words, room)
    pieces.improve()
    while len(pieces.scores) > room:
        pieces.prune(max(room, int(_ROUND_KEEPS * len(pieces.scores))))
        pieces.improve()
    found = [(piece.encode(), score) for piece, score in pieces.scores.items()]
    found += [(bytes([byte]), score) for byte, score in enumerate(pieces.byte_scores)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _is_byte(piece: str) -> bool:
    """Tell whether a piece is a single byte."""
    return len(piece) == 1 and piece < "\x80"


def _best(values: Mapping[str, float], size: int) -> list[str]:
    """Return the entries of the highest values; equal ones by code point."""
    return sorted(values, key=lambda entry: (-values[entry], entry))[:size]
