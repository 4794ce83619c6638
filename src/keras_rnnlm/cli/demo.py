"""`rnnlm demo`: train, measure and write, in the first two minutes of a new user."""

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_rnnlm.cli.base import Duration, Verb, typed_command
from keras_rnnlm.cli.process import program, started_at
from keras_rnnlm.cli.train import free_path
from keras_rnnlm.cli.wording import count, figure, table

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus
    from keras_rnnlm.language_model import LanguageModel
    from keras_rnnlm.training.run import TrainingResult

VOCABULARY_SIZE = 1000
SPLIT = (0.92, 0.03, 0.05)  # training, validation, test
COUNTERS = {
    1: "unigram (counts how often each token comes)",
    2: "bigram (counts which token follows which)",
}
WIDTH = 76  # characters in a line of sample text
PROMPT = "The value of the"


@click.command(cls=Verb, short_help="Train a small model in two minutes; look at it.")
@click.option(
    "--minutes",
    type=Duration(),
    default=1.5,
    show_default=True,
    help="Time for training and final figures.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for the model; runs/demo, or the next that is free, by default.",
)
@click.pass_context
def demo(context: click.Context, /, minutes: float, out: str | None) -> int:
    """Train on the Python reference that every Python carries, and look at the model.

    Nothing is downloaded. The model is thrown at text it has not seen, beside two
    models that only count words, and then writes some of its own.
    """
    from keras_rnnlm.config import Settings

    folder = Path(out) if out else free_path(Path("runs") / "demo")
    settings = Settings.from_recipe("demo", {"minutes": minutes})

    from keras_rnnlm.cli.progress import make_reporter
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.training.train import train

    keep_programs()
    corpus = _corpus()
    click.echo(
        f"Training on the Python language reference for {minutes:g} minutes ...",
        err=True,
    )
    with make_reporter() as reporter:
        result = train(
            corpus,
            settings,
            folder,
            reporter=reporter,
            started=started_at(),
            command=typed_command(context),
        )
    if result.language_model is None:
        click.echo(f"Interrupted; {program()} demo starts anew.", err=True)
        return 128 + (result.interrupted or 0)
    _print_figures(corpus, result)
    _print_samples(result.language_model)
    _print_next(folder)
    return 0


def _corpus() -> "Corpus":
    from keras_rnnlm.data.builtin import python_reference
    from keras_rnnlm.data.corpus import Corpus

    return Corpus.from_texts(
        [python_reference()],
        split=SPLIT,
        tokenizer="bpe",
        vocabulary_size=VOCABULARY_SIZE,
    )


def _print_figures(corpus: "Corpus", result: "TrainingResult") -> None:
    from keras_rnnlm.scoring.ngram import NGramModel

    test = result.report["test"]
    click.echo(
        f"\nPerplexity on {count(test['tokens'])} tokens that it was not trained on "
        "(lower is better):"
    )
    figures = []
    for order, name in COUNTERS.items():
        counter = NGramModel.fit(corpus.train, corpus.vocabulary_size, order)
        perplexity = counter.totals(corpus.parts()["test"]).perplexity
        figures.append((f"  {name}", figure(perplexity)))
    click.echo(table([*figures, ("  this model", figure(test["perplexity"]))]))


def _print_samples(lm: "LanguageModel") -> None:
    for seed, prompt in enumerate(("", PROMPT), start=1):
        heading = f"It goes on from '{prompt}':" if prompt else "It writes by itself:"
        written = lm.generate(prompt, tokens=100, temperature=0.7, seed=seed)
        click.echo(f"\n{heading}")
        for line in f"{prompt}{written}".strip().splitlines():
            click.echo(textwrap.indent(textwrap.fill(line, WIDTH), "  "))


def _print_next(folder: Path) -> None:
    rnnlm, model = program(), shlex.quote(str(folder))
    click.echo(
        f"\nThe model is in {folder}. Try next:\n"
        f'  {rnnlm} generate {model} --prompt "A function is" --temperature 0.7\n'
        f'  echo "A class is an object." | {rnnlm} score {model}\n'
        f"  {rnnlm} info {model}\n"
        f"And with your own text: {rnnlm} train my-text.txt --minutes 5"
    )
