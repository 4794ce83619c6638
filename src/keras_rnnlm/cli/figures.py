"""How the figures of an evaluation are shown to people."""

from collections.abc import Mapping
from typing import Any

from keras_rnnlm.cli.wording import count, figure


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
