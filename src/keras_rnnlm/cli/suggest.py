"""`rnnlm suggest`: settings for a text, this machine and a time, with reasons."""

import json
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Duration, Verb
from keras_rnnlm.cli.compare import OF_TEXT
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.cli.process import program
from keras_rnnlm.cli.train import free_path, parse_split, read_corpus, stem, train
from keras_rnnlm.cli.tune_output import words_of_text
from keras_rnnlm.cli.wording import count, size, table

if TYPE_CHECKING:
    from keras_rnnlm.search.suggest import Suggestion

WIDTH = 80


@click.command(cls=Verb, short_help="Suggest settings for a text, with reasons.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--minutes",
    type=Duration(),
    required=True,
    help="Time of the training that the settings are for.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Give a setting a value of your own; the others are chosen to go with it. "
    "May be repeated.",
)
@click.option(
    "--range-test",
    metavar="FILE.png",
    type=click.Path(),
    help="Find the learning rate by a range test, and draw it.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="The recipe; a new .toml file below runs/ by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
@click.pass_context
def suggest(context: click.Context, /, **options: Any) -> None:
    """Suggest settings for TEXT... (files, folders) and --minutes of this machine.

    The text is counted, small networks are trained on it for some seconds each, and the
    rest follows from measured rules. Nothing is trained to its end: do that with
    `rnnlm train --recipe`, or at once with `rnnlm train --minutes`.
    """
    from keras_rnnlm.config import Settings, parse_overrides
    from keras_rnnlm.errors import ConfigError, FolderError, InputError

    fixed = parse_overrides(options["sets"])
    if fixed.get("output_samples") is not None:
        fixed.setdefault("output", "sampled")  # which it goes with
    for name in ("minutes", "max_steps", "epochs"):
        if name in fixed:
            raise ConfigError(f"'{name}' is what --minutes says: leave it out.")
    if fixed.get("network", "rnn") != "rnn":
        raise ConfigError(
            "Settings are suggested for recurrent networks; received network="
            f"{fixed['network']}. For others use rnnlm tune."
        )
    if options["range_test"] is not None and "learning_rate" in fixed:
        raise ConfigError(
            "--range-test finds the learning rate, which --set learning_rate has "
            "given. Leave one of them out."
        )
    Settings.from_dict({"minutes": options["minutes"], **fixed})
    check_file("--range-test", options["range_test"])
    if "-" in (*options["texts"], *options["valid"], *options["test"]):
        raise InputError("Give a file: standard input cannot be read again to train.")
    split = parse_split(options["split"])
    name = f"{stem(options['texts'][0])}-suggested.toml"
    out = Path(options["out"] or free_path(Path("runs") / name))
    if out.suffix != ".toml":
        raise ConfigError(f"Expected --out FILE.toml, a recipe; received '{out}'.")
    if out.exists():
        raise FolderError(f"'{out}' exists already. Choose another --out.")

    from keras_rnnlm.files import write_file
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.recipe_writing import recipe_toml
    from keras_rnnlm.search.suggest import suggest as find

    keep_programs()
    vectors = fixed.get("vectors") is not None
    corpus = read_corpus(options, split, 0, vectors)
    for sentence in corpus.notes:
        click.echo(sentence, err=True)
    found = find(
        corpus,
        options["minutes"],
        fixed=fixed,
        with_range_test=options["range_test"] is not None,
        tell=lambda sentence: click.echo(sentence, err=True),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    comment = f"Suggested for {', '.join(options['texts'])}\n{_reasons(found)}"
    recipe = recipe_toml(found.settings, comment)
    write_file(out, recipe.encode("utf-8", "backslashreplace"))
    if options["as_json"]:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        click.echo(_shown(found))
    if found.range_test is not None:
        from keras_rnnlm.pictures.range_test import range_plot

        rate = found.settings.learning_rate
        range_plot(found.range_test, rate, Path(options["range_test"]))
    words = shlex.join(words_of_text(context, options))
    click.echo(
        f"Recipe: {out}\n"
        f"Now try: {program()} train {words} --recipe {shlex.quote(str(out))}",
        err=True,
    )


# The very options of `rnnlm train`.
suggest.params[1:1] = [option for option in train.params if option.name in OF_TEXT]


def _shown(found: "Suggestion") -> str:
    from keras_rnnlm.search.reasons import few

    facts, cost = found.facts, found.cost
    unit = {"char": "characters", "word": "words"}.get(facts.kind, "pieces")
    rates = ", ".join(
        f"{count(rate)} with {units} units" for units, rate in cost.measured.items()
    )
    head = table(
        [
            (
                "text",
                f"{count(facts.tokens)} {unit}, {count(facts.types)} different, "
                f"{facts.repeated:.1%} end a passage that stood before",
            ),
            ("machine", f"{unit} a second, {cost.precision}: {rates}"),
            (
                "time",
                f"{found.settings.minutes:g} min: about {size(found.tokens)} {unit}, "
                f"{few(found.passes)} passes",
            ),
        ]
    )
    return f"{head}\n\n{_reasons(found)}"


def _reasons(found: "Suggestion") -> str:
    blocks = []
    for choice in found.choices:
        values = ", ".join(f"{k} = {_value(k, v)}" for k, v in choice.settings.items())
        lines = textwrap.wrap(values, WIDTH) + textwrap.wrap(
            choice.reason, WIDTH, initial_indent="    ", subsequent_indent="    "
        )
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _value(name: str, value: Any) -> str:
    if value is None:
        return "units" if name == "embedding" else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
