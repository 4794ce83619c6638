"""How figures are written for people: `1,234`, `4.9 million`, `1:05:09`, a table."""

from collections.abc import Iterable


def count(number: float) -> str:
    """Return a whole number with a comma every three digits."""
    return f"{round(number):,}"


def size(number: float) -> str:
    """Return a large number in words, such as `4.9 million`."""
    for least, word in ((1e9, "billion"), (1e6, "million")):
        if number >= least:
            return f"{number / least:.1f} {word}"
    return count(number)


def clock(seconds: float) -> str:
    """Return a duration as `0:07`, `12:34` or `1:05:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def figure(number: float | None) -> str:
    """Return a perplexity or the like with four or five digits that mean something."""
    if number is None:
        return "-"
    if number >= 1e5:
        return f"{number:.3g}"
    return f"{number:,.1f}" if number >= 1000 else f"{number:#.4g}"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of a name and a value with the values under one another."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in rows)
