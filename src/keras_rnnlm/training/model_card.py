"""The README of a model folder, written from its report."""

from typing import Any

from keras_rnnlm.training.origin import origin_lines


def model_card(report: dict[str, Any]) -> str:
    """Return a model card in Markdown: what it is, its figures, how to use it."""
    settings, data = report["settings"], report["data"]
    recurrent = settings["network"] == "rnn"
    kind = settings["cell"].replace("_", " ").upper() if recurrent else "blocks"
    title = "recurrent" if recurrent else settings["network"].capitalize()
    lines = [
        f"# A {title} language model",
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
    lines += system_lines(report.get("system"))
    lines += _vectors(report)
    lines += [
        "",
        "Text it was trained on: "
        + ", ".join(data["train"]["files"][:5])
        + (" and more" if len(data["train"]["files"]) > 5 else "")
        + f" (SHA-256 {data['train']['sha256'][:16]}…, "
        f"{data['train']['characters']:,} characters).",
        *origin_lines(report),
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


def system_lines(system: dict[str, Any] | None) -> list[str]:
    """Return a sentence on what evaluation adds; nothing was searched for None."""
    if not system:
        return []
    tested = system["test"]
    found = "What evaluation adds was searched on the validation text"
    if tested and tested[-1]["name"] != "static":
        value, seconds = _figure(tested[-1]["perplexity"], ".2f"), tested[-1]["seconds"]
        ready = sum(line["preparation_seconds"] for line in tested)
        before = f", made ready in {ready:.1f} s" if ready >= 0.05 else ""
        found = (
            f"With all that is added at evaluation: test perplexity {value} in "
            f"{seconds:.1f} s{before}"
        )
    return [
        "",
        f"{found} (`evaluation.json`; `rnnlm evaluate THIS_FOLDER text.txt --system`).",
    ]


def _vectors(report: dict[str, Any]) -> list[str]:
    """Return a sentence on the word vectors it began with; nothing without them."""
    vectors, frozen = report.get("vectors"), report["settings"]["vectors_frozen"]
    if not vectors:
        return []
    then, since = "trained further", report["vectors_trained_since"]
    # The weights that were kept may be older than the training of the vectors.
    if frozen is True or (frozen and (since is None or report["best_step"] <= since)):
        then = "left as they were"
    elif frozen:
        then = f"trained further after {frozen:g} epochs"
    return [
        "",
        f"It began with word vectors of {vectors['width']} numbers, {then}, for "
        f"{vectors['types_found']:,} of {vectors['types']:,} words.",
    ]


def _row(name: str, figures: dict[str, Any]) -> str:
    cells = [
        name,
        figures["protocol"],
        f"{figures['tokens']:,}",
        f"{figures['oov']:,}",
        _figure(figures["perplexity"], ".2f"),
        _figure(figures["word_perplexity"], ".2f"),
        _figure(figures["bits_per_byte"], ".4f"),
        _figure(figures["accuracy"], ".4f"),
    ]
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None, digits: str) -> str:
    """Format a figure; None stands for one that there is not, or that is infinite."""
    return "-" if value is None else format(value, digits)
