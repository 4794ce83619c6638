"""The README of a model folder, written from its report."""

from typing import Any


def model_card(report: dict[str, Any]) -> str:
    """Return a model card in Markdown: what it is, its figures, how to use it."""
    settings, data = report["settings"], report["data"]
    kind = settings["cell"].replace("_", " ").upper()
    lines = [
        "# A recurrent language model",
        "",
        f"{settings['layers']} x {settings['units']} {kind}, "
        f"{report['parameters']:,} weights, {data['tokenizer']} tokens, vocabulary "
        f"{data['vocabulary_size']:,}. Trained by keras-rnnlm "
        f"{report['environment']['versions']['keras-rnnlm']} in "
        f"{report['seconds']:,.0f} s on {report['environment']['machine']}, seed "
        f"{settings['seed']}.",
        "",
        "| text | protocol | tokens | OOV | perplexity | word perplexity "
        "| bits per byte | accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("valid", "test"):
        if report.get(name):
            lines.append(_row(name, report[name]))
    lines += [
        "",
        "Text it was trained on: "
        + ", ".join(data["train"]["files"][:5])
        + (" and more" if len(data["train"]["files"]) > 5 else "")
        + f" (SHA-256 {data['train']['sha256'][:16]}…, "
        f"{data['train']['characters']:,} characters).",
        "",
        "```",
        "rnnlm generate THIS_FOLDER --tokens 100",
        "rnnlm evaluate THIS_FOLDER text.txt",
        "```",
        "",
        "All settings, hashes and versions stand in `report.json`.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, figures: dict[str, Any]) -> str:
    word = figures["word_perplexity"]
    return (
        f"| {name} | {figures['protocol']} | {figures['tokens']:,} "
        f"| {figures['oov']:,} | {figures['perplexity']:.2f} "
        f"| {'-' if word is None else format(word, '.2f')} "
        f"| {figures['bits_per_byte']:.4f} | {figures['accuracy']:.4f} |"
    )
