r"""How the scores of lines are written.

`rnnlm score` writes one of these for each line of its input, empty lines included, so
that scores stay in step with the lines:

| format  | for each line                                                       |
|---------|---------------------------------------------------------------------|
| `words` | a row a token: token, tab, ln p, tab, log10 p, and a further tab and |
|         | `OOV` if it was not in the vocabulary; then an empty row            |
| `total` | ln p of the line with its line end                                  |
| `jsonl` | a JSON object, with ln p (nats) of the line and of each token       |

In `words`, a tab, a line end or a carriage return that is itself a token is written
`\t`, `\n` or `\r`, and a backslash `\\`.
"""

import json
import math
from collections.abc import Callable

from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.scoring.lines import LineScore

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def words(score: LineScore) -> str:
    """Write a row a token and an empty row, each with its line end."""
    rows = [
        f"{token.translate(_ESCAPES)}\t{nats:.6f}\t{nats / math.log(10):.6f}"
        + ("\tOOV" if oov else "")
        for token, nats, oov in zip(
            score.tokens, score.log_probabilities.tolist(), score.oov, strict=True
        )
    ]
    return "".join(row + "\n" for row in [*rows, ""])


def total(score: LineScore) -> str:
    """Write the natural-log probability of the line."""
    return f"{score.total:.6f}\n"


def jsonl(score: LineScore) -> str:
    """Write a JSON object; logarithms are natural but for `log10`."""
    perplexity = score.perplexity
    record = {
        "text": score.text,
        "log_probability": score.total,
        "log10": score.log10,
        "perplexity": perplexity if _finite(perplexity) else None,
        "oov": int(score.oov.sum()),
        "tokens": [
            {"token": token, "log_probability": nats, "oov": oov}
            for token, nats, oov in zip(
                score.tokens,
                score.log_probabilities.tolist(),
                score.oov.tolist(),
                strict=True,
            )
        ],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[LineScore], str]] = {
    "words": words,
    "total": total,
    "jsonl": jsonl,
}


def formatter(name: str) -> Callable[[LineScore], str]:
    """Return the function that writes a `LineScore` in the format `name`.

    Raises:
        ConfigError: For an unknown format.
    """
    if name not in FORMATS:
        raise ConfigError(
            f"Expected one of the formats {', '.join(FORMATS)}; received '{name}'."
            + nearest(name, FORMATS)
        )
    return FORMATS[name]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
