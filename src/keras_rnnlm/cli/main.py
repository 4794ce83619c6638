"""The command `rnnlm`: finds the verb, runs it, turns what went wrong into a code.

| exit code | meaning                                                             |
|-----------|---------------------------------------------------------------------|
| 0         | done                                                                |
| 1         | a fault of ours; `--debug` shows where                              |
| 2         | something to mend: an option, a file, a setting, a full disk        |
| 130, 143  | interrupted (Ctrl-C), terminated; a run in training can be resumed  |
| 141       | whoever read the output went away                                   |

Nothing here or at the top of a verb's file imports Keras, NumPy or rich: `rnnlm --help`
answers at once.
"""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from keras_rnnlm import __version__
from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.cli.adapt import adapt
from keras_rnnlm.cli.base import Session, Verbs
from keras_rnnlm.cli.bench import bench
from keras_rnnlm.cli.compare import compare
from keras_rnnlm.cli.demo import demo
from keras_rnnlm.cli.evaluate import evaluate
from keras_rnnlm.cli.explain import explain
from keras_rnnlm.cli.generate import generate
from keras_rnnlm.cli.info import info
from keras_rnnlm.cli.ngram import ngram
from keras_rnnlm.cli.plot import plot
from keras_rnnlm.cli.recipes import recipes
from keras_rnnlm.cli.score import score
from keras_rnnlm.cli.suggest import suggest
from keras_rnnlm.cli.train import train
from keras_rnnlm.cli.tune import tune
from keras_rnnlm.cli.tune_evaluation import tune_evaluation
from keras_rnnlm.cli.vectors import vectors
from keras_rnnlm.errors import RNNLMError, nearest

USERS_FAULT = 2
OUR_FAULT = 1
INTERRUPTED = 130
READER_GONE = 141

FULL = (errno.ENOSPC, errno.EDQUOT)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def rnnlm() -> None:
    """Train recurrent language models on text and use them.

    Start with `rnnlm demo`, or with your own text: `rnnlm train my-text.txt --minutes
    10`.
    """


for _verb in (
    demo,
    train,
    adapt,
    evaluate,
    tune_evaluation,
    ngram,
    vectors,
    compare,
    suggest,
    tune,
    score,
    generate,
    explain,
    info,
    plot,
    recipes,
    bench,
):
    rnnlm.add_command(_verb)


def main() -> None:
    """Run the command line of this process and end it with the right exit code."""
    for stream in (sys.stdout, sys.stderr):
        _write_all_characters(stream)
    _show_log()
    keep_freed_memory()
    # Notebooks set it for what they start. Matplotlib, which here never opens a window,
    # does not even import where the module that it names is not installed.
    os.environ.pop("MPLBACKEND", None)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: What stands after `rnnlm`.

    Returns:
        The exit code (see the module's table). Errors have been printed by then.
    """
    session = Session(
        debug=bool(os.environ.get("RNNLM_DEBUG")), arguments=tuple(arguments)
    )
    try:
        code = _run_verb(list(arguments), session)
        sys.stdout.flush()
        return code
    except click.ClickException as error:
        _print_usage_error(error)
        return USERS_FAULT
    except BrokenPipeError:
        # Python would flush stdout once more at exit and complain; give it a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        click.echo("\nrnnlm: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        if session.debug:
            raise
        return _print_error(error)


def _run_verb(arguments: list[str], session: Session) -> int:
    # Not `rnnlm.main()`: it has ideas of its own about exceptions (a truncated gzip
    # file's EOFError, for example, would become "Aborted!").
    try:
        with rnnlm.make_context(
            "rnnlm", arguments or ["--help"], obj=session
        ) as context:
            code = rnnlm.invoke(context)
    except click.exceptions.Exit as done:  # --help and --version
        return done.exit_code
    return code if isinstance(code, int) else 0


def _print_error(error: Exception) -> int:
    if isinstance(error, RNNLMError):
        click.echo(f"rnnlm: error: {error}", err=True)
        return USERS_FAULT
    if isinstance(error, OSError) and error.strerror:
        # What the machine refuses (disk full, no permission) is not a fault of ours.
        where = "" if error.filename is None else f"{error.filename}: "
        cure = " Make room or write elsewhere." if error.errno in FULL else ""
        click.echo(f"rnnlm: error: {where}{error.strerror}.{cure}", err=True)
        return USERS_FAULT
    if isinstance(error, MemoryError):
        click.echo(
            "rnnlm: error: not enough memory. Try a smaller model (--set units=128), "
            "a smaller vocabulary or a smaller batch.",
            err=True,
        )
        return USERS_FAULT
    click.echo(
        f"rnnlm: internal error: {type(error).__name__}: {_first_line(error)}\n"
        "This is a fault of rnnlm; rerun with --debug to see where, and report it.",
        err=True,
    )
    return OUR_FAULT


def _print_usage_error(error: click.ClickException) -> None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "rnnlm"
    if context and isinstance(error, click.NoSuchOption):
        options = [name for option in context.command.params for name in option.opts]
        near = nearest(error.option_name, options)
        message = f"There is no option '{error.option_name}'.{near}"
    else:
        message = error.format_message().rstrip()
    end = "" if message.endswith((".", "?", ")")) else "."
    click.echo(f"{path}: error: {message}{end}\nTry '{path} --help'.", err=True)


def _show_log() -> None:
    """Show what the package has to say beside its results: on stderr, line by line."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("keras_rnnlm")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def _write_all_characters(stream: TextIO) -> None:
    """Let files and pipes be UTF-8 everywhere, and no terminal stop on a character."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:  # a stand-in for a stream has no encoding to set
        return
    if stream.isatty():
        reconfigure(errors="replace")
    else:
        reconfigure(encoding="utf-8", errors="backslashreplace")
