"""Modified Kneser-Ney smoothing in dictionaries, word by word."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from keras_rnnlm.data.encoded_text import EncodedText

START = "<s>"
Gram = tuple[object, ...]


def sentences(text: EncodedText, sentence_end: int | None) -> list[list[int]]:
    """The tokens of each line, or of each file for a stream."""
    found: list[list[int]] = []
    for start, stop in zip(text.starts.tolist(), text.stops.tolist(), strict=True):
        first = start - (text.start_id is None)
        sentence: list[int] = []
        for token in text.ids[first:stop].tolist():
            sentence.append(token)
            if token == sentence_end:
                found.append(sentence)
                sentence = []
        if sentence:
            found.append(sentence)
    return found


class Reference:
    """p(word | context) by the recursion, from counts of tuples."""

    def __init__(
        self, lines: Sequence[Sequence[int]], vocabulary_size: int, order: int
    ) -> None:
        self.v, self.order = vocabulary_size, order
        raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        before: dict[Gram, set[object]] = defaultdict(set)
        for line in lines:
            row: list[object] = [START, *line]
            for end in range(1, len(row)):
                for n in range(1, order + 1):
                    if end - n + 1 >= 0:
                        gram = tuple(row[end - n + 1 : end + 1])
                        raw[n][gram] += 1
                        if end - n >= 0:
                            before[gram].add(row[end - n])
        self.counts: list[dict[Gram, int]] = [{}]
        for n in range(1, order + 1):
            self.counts.append(
                {
                    gram: count if n == order or gram[0] == START else len(before[gram])
                    for gram, count in raw[n].items()
                }
            )
        self.discounts = [(0.0, 0.0, 0.0)]
        self.discounts += [self._discounts(c) for c in self.counts[1:]]

    def _discounts(self, counts: dict[Gram, int]) -> tuple[float, float, float]:
        n1, n2, n3, n4 = (list(counts.values()).count(k) for k in (1, 2, 3, 4))
        if n1 and n2 and n3:
            y = n1 / (n1 + 2 * n2)
            d = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
            if all(0 < value <= k for k, value in enumerate(d, 1)):
                return d
        return 0.5, 1.0, 1.5

    def p(self, word: int, context: Gram) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        n = len(context) + 1
        counts, discounts = self.counts[n], self.discounts[n]
        lower = 1 / self.v if n == 1 else self.p_shorter(word, context)
        seen = {g: c for g, c in counts.items() if g[:-1] == context}
        total = sum(seen.values())
        if not total:
            return lower
        freed = sum(discounts[min(c, 3) - 1] for c in seen.values())
        count = seen.get((*context, word), 0)
        kept = count - discounts[min(count, 3) - 1] if count else 0.0
        return kept / total + freed / total * lower

    def p_shorter(self, word: int, context: Gram) -> float:
        shorter = Reference.__new__(Reference)
        shorter.v, shorter.order = self.v, len(context)
        shorter.counts, shorter.discounts = self.counts, self.discounts
        return shorter.p(word, context[1:])
