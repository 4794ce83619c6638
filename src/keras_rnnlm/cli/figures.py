"""How the figures of an evaluation are shown to people."""

import math
from collections.abc import Mapping
from typing import Any

from keras_rnnlm.cli.wording import count, figure

# Lines of what is added at evaluation, in the order of the ladder.
TITLES = {
    "static": "plain",
    "temperature": "temperature",
    "dynamic": "dynamic evaluation",
    "mc_dropout": "Monte Carlo dropout",
    "ensemble": "ensemble",
    "cache": "cache",
    "ngram": "n-gram model",
    "gate": "weights by a gate",
}


def report_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) rows for a `scoring.report.Report` as a dict."""
    unit = report["token"]
    return [
        ("protocol", report["protocol"]),
        (f"{unit}s predicted", count(report["tokens"])),
        *_perplexities(report),
        (f"loss (nats per {unit})", f"{report['loss']:.4f}"),
        ("bits per character", f"{report['bits_per_character']:.4f}"),
        ("bits per byte", f"{report['bits_per_byte']:.4f}"),
        ("accuracy", f"{report['accuracy']:.2%}"),
        (
            "time",
            f"{report['seconds']:.1f} s, {count(report['tokens_per_second'])} "
            f"{unit}s a second",
        ),
    ]


def short_row(part: str, report: Mapping[str, Any]) -> tuple[str, str]:
    """Return one row with the perplexity on a part of a corpus."""
    return (
        f"{part} perplexity",
        f"{_perplexity(report['perplexity'])} per {report['token']} "
        f"({count(report['tokens'])} predicted, protocol {report['protocol']})",
    )


def system_rows(system: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return rows with what was added at evaluation: `system` of a report.

    The perplexities are those of the test text, each with its time; without one, those
    that the search found on the validation text. The time of that search comes last.
    """
    rows = [
        (
            _step("test", line["name"]),
            f"{_perplexity(line['perplexity'])}, "
            # Reports of earlier versions do not say what had to be made ready.
            + line_time(line["seconds"], line.get("preparation_seconds", 0.0)),
        )
        for line in system["test"]
    ]
    if not rows:
        searched = sorted(
            system["valid"].items(), key=lambda row: list(TITLES).index(row[0])
        )
        rows = [
            (_step("valid", name), _perplexity(math.exp(nats)))
            for name, nats in searched
        ]
    search = f"{system['search_seconds']:.1f} s on the validation text"
    return [*rows, ("search for additions", search)]


def line_time(seconds: float, preparation: float) -> str:
    """Return the cost of a line of the ladder, such as `33.2 s, ready in 1.1 s`.

    Args:
        seconds: Of reading the text with all that the line consists of.
        preparation: Seconds of making ready what it adds; not told below 0.05.
    """
    ready = f", ready in {preparation:.1f} s" if preparation >= 0.05 else ""
    return f"{seconds:.1f} s{ready}"


def _step(text: str, name: str) -> str:
    """Return the name of a line of the ladder on a text."""
    return f"{text}, {'' if name == 'static' else '+ '}{TITLES[name]}"


def _perplexities(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(f"perplexity per {report['token']}", _perplexity(report["perplexity"]))]
    if report["oov"]:
        without = report["perplexity_without_oov"]
        if without is None and report["oov"] == report["tokens"]:
            known = "nothing else was predicted"
        else:
            known = f"perplexity without them {_perplexity(without)}"
        rows.append(("out of vocabulary", f"{count(report['oov'])}; {known}"))
    if report["word_perplexity"] is not None:
        comparable = report["word_perplexity_comparable"]
        rest = "" if comparable else " (not comparable: <unk> is easier than a word)"
        rows.append(
            ("perplexity per written word", figure(report["word_perplexity"]) + rest)
        )
    return rows


def _perplexity(value: float | None) -> str:
    """Return a perplexity; JSON has null for one that no float can hold."""
    return "too large for a number" if value is None else figure(value)
