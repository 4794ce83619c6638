"""`rnnlm generate`: text that a model writes, shown as it is made."""

import json

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.example import after_example, example_options
from keras_rnnlm.cli.imports import import_option


@click.command(cls=Verb, short_help="Let a model write text.")
@click.argument("model", type=click.Path())
@click.option("--prompt", default="", help="The text to go on from.")
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many to write: words, pieces or characters, as the model has them.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="0 takes the likeliest token each time, 1 draws as the model predicts.",
)
@click.option("--top-k", type=click.IntRange(min=1), help="Draw from the K likeliest.")
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Draw from the likeliest that together have this probability.",
)
@click.option(
    "--repetition-penalty",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Above 1, what was written before becomes less likely.",
)
@click.option("--stop", multiple=True, help="End before this text; may be repeated.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    envvar="RNNLM_SEED",
    show_envvar=True,
    help="The same seed writes the same text.",
)
@click.option(
    "-n",
    "samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many texts to write.",
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="What to compute with; fewer bits take less time. `rnnlm evaluate` shows what "
    "they cost.",
)
@example_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
def generate(
    model: str,
    prompt: str,
    tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    repetition_penalty: float,
    stop: tuple[str, ...],
    seed: int | None,
    samples: int,
    weights: str | None,
    example: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Let MODEL write text, going on from a prompt if there is one."""
    from keras_rnnlm.generation.generator import stream, unknown_in_prompt
    from keras_rnnlm.generation.loops import choose
    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs

    keep_programs()
    if weights is not None and example is not None and by == "cache":
        raise click.UsageError(
            "--weights packs the network, which then has no cache; leave it out, or "
            "use --by dynamic."
        )
    lm = after_example(load(model), example, by)
    if weights is not None:
        lm = lm.quantize(weights)
    if unknown := unknown_in_prompt(lm.tokenizer, prompt):
        click.echo(f"Not in the vocabulary: {', '.join(unknown)}", err=True)
    pieces = stream(
        lm.network,
        lm.tokenizer,
        prompt,
        tokens,
        temperature,
        top_k,
        top_p,
        repetition_penalty,
        stop,
        seed,
        samples,
    )
    texts = [""] * samples
    if not as_json:
        click.echo(prompt, nl=False)
    for row, piece in pieces:
        texts[row] += piece
        if row == 0 and not as_json:
            click.echo(piece, nl=False)  # flushed, so that it is seen as it is made
    if as_json:
        loop = choose(lm.network)
        found = {
            "prompt": prompt,
            "texts": texts,
            "seed": seed,
            "path": loop.path,
            "weights": loop.weights or "float32",
        }
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo()
    for text in texts[1:]:
        click.echo(f"---\n{prompt}{text}")
