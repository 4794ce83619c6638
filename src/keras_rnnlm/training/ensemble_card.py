"""The README of an ensemble's folder, written from its report."""

from typing import Any

from keras_rnnlm.training.model_card import system_lines
from keras_rnnlm.training.origin import origin_lines

_TEXTS = ("valid", "test")


def ensemble_card(report: dict[str, Any]) -> str:
    """Return a card in Markdown: the members, what they reach alone and together."""
    members, data = report["members"], report["data"]
    lines = [
        "# An ensemble of language models",
        "",
        f"{len(members)} networks of {report['parameters']:,} weights each, "
        f"{data['tokenizer']} tokens, vocabulary {data['vocabulary_size']:,}. Trained "
        f"together in {report['seconds']:,.0f} s on "
        f"{report['environment']['machine']}. Each folder is a model by itself; "
        "together, the mean of their probabilities counts.",
        "",
        "| model | seed | best step | valid perplexity | test perplexity |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {m['folder']} | {m['seed']} | {m['best_step']:,} | {_figure(m['valid'])} | "
        f"{_figure(m['test'])} |"
        for m in members
    ]
    together = [_figure((report[name] or {}).get("perplexity")) for name in _TEXTS]
    protocols = {report[name]["protocol"] for name in _TEXTS if report[name]}
    lines += [
        f"| **together** | | | {' | '.join(f'**{figure}**' for figure in together)} |",
        "",
        f"Protocol: {', '.join(sorted(protocols)) or 'no text to evaluate'}.",
        *system_lines(report.get("system")),
        *origin_lines(report),
        "",
        "```",
        "rnnlm evaluate THIS_FOLDER text.txt",
        f"rnnlm generate THIS_FOLDER/{members[0]['folder']} --tokens 100",
        "```",
        "",
        "All settings, hashes and versions stand in `report.json`.",
        "",
    ]
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    """Format a perplexity; None is one that there is not, or that is infinite."""
    return "-" if value is None else format(value, ".2f")
