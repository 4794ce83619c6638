"""N-best lists made from lines of text by noise on words, as a recogniser might.

A recogniser is unsure of a few places in an utterance, and its n-best list is made of
the likeliest combinations of what it heard there. `confusions` makes such lists: some
words get a few alternatives (another word, no word, a word more), each with a cost, and
the list holds the cheapest combinations. `independent` is harder to share prefixes in:
each hypothesis gets a few edits of its own at random places.
"""

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Words = tuple[str, ...]

# Share of the words that are in doubt, alternatives for each, and the fewest in a line.
IN_DOUBT = 0.3
ALTERNATIVES = 2
FEWEST = 10
# How often a word is replaced, left out, or another one put before it.
KINDS = ("replace", "leave out", "put before")
WEIGHTS = (6, 2, 2)
# Edits in a hypothesis of `independent`, at most.
MOST_EDITS = 3


@dataclass(frozen=True)
class Edit:
    """A change at one place of a line."""

    place: int
    kind: str
    word: str
    cost: float


def confusions(
    line: Words, pool: Sequence[str], best: int, chance: random.Random
) -> list[Words]:
    """Return up to `best` distinct hypotheses, the cheapest first: the line itself."""
    edits = [
        _edit(place, pool, chance)
        for place in range(len(line))
        if chance.random() < IN_DOUBT
        for _ in range(ALTERNATIVES)
    ]
    while len(edits) < FEWEST:
        edits.append(_edit(chance.randrange(len(line)), pool, chance))
    found: dict[Words, None] = {}
    for chosen in _cheapest(edits):
        found[_edited(line, chosen)] = None
        if len(found) == best:
            break
    return list(found)


def independent(
    line: Words, pool: Sequence[str], best: int, chance: random.Random
) -> list[Words]:
    """Return `best` hypotheses, each with one to three edits of its own."""
    return [
        _edited(
            line,
            [
                _edit(chance.randrange(len(line)), pool, chance)
                for _ in range(chance.randint(1, MOST_EDITS))
            ],
        )
        for _ in range(best)
    ]


NOISES = {"confusions": confusions, "independent": independent}


def _edit(place: int, pool: Sequence[str], chance: random.Random) -> Edit:
    (kind,) = chance.choices(KINDS, WEIGHTS)
    return Edit(place, kind, chance.choice(pool), chance.expovariate(1.0))


def _edited(line: Words, edits: Sequence[Edit]) -> Words:
    by_place = {edit.place: edit for edit in edits}
    words: list[str] = []
    for place, word in enumerate(line):
        edit = by_place.get(place)
        if edit is not None and edit.kind != "leave out":
            words.append(edit.word)
        if edit is None or edit.kind == "put before":
            words.append(word)
    return tuple(words)


def _cheapest(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """Yield combinations with one edit a place at most, in the order of their cost.

    The combinations of sorted costs form a heap: from one that ends in edit i go two,
    that with edit i + 1 added and that with it in place of i.
    """
    edits = sorted(edits, key=lambda edit: edit.cost)
    heap: list[tuple[float, tuple[int, ...]]] = [(edits[0].cost, (0,))]
    yield []
    while heap:
        cost, chosen = heapq.heappop(heap)
        if len({edits[i].place for i in chosen}) == len(chosen):
            yield [edits[i] for i in chosen]
        last = chosen[-1]
        if last + 1 < len(edits):
            more = edits[last + 1].cost
            heapq.heappush(heap, (cost + more, (*chosen, last + 1)))
            swapped = (*chosen[:-1], last + 1)
            heapq.heappush(heap, (cost + more - edits[last].cost, swapped))
