"""What every verb of the command line has: `--debug`, and help for slips of the pen."""

import math
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from keras_rnnlm.errors import nearest


@dataclass
class Session:
    """What the command line remembers from its options until its end.

    Attributes:
        debug: Whether an error shows its traceback.
        arguments: What was typed after `rnnlm`.
    """

    debug: bool = False
    arguments: tuple[str, ...] = ()


class Duration(click.FloatRange):
    """A time in minutes or seconds: above 0, at most a million."""

    def __init__(self) -> None:
        """Set the bounds, which leave infinity out."""
        super().__init__(min=0, max=1e6, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; `nan` is none."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


def typed_words(context: click.Context) -> tuple[str, ...]:
    """Return what was typed after `rnnlm`."""
    session = context.find_object(Session)
    return session.arguments if session else ()


def typed_command(context: click.Context) -> list[str]:
    """Return the command line as it was typed, `rnnlm` first, for a report.

    Bytes of it that are no text are written as escapes.
    """
    words = ("rnnlm", *typed_words(context))
    return [word.encode("utf-8", "backslashreplace").decode() for word in words]


def is_typed(context: click.Context, name: str) -> bool:
    """Return whether an option stood on the command line."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _turn_on_debug(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        context.find_object(Session).debug = True  # type: ignore[union-attr]


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_turn_on_debug,
        help="Show the whole traceback of an error.",
    )


class Verb(click.Command):
    """A command that takes `--debug` after its name as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the command and add the option."""
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())


class Verbs(click.Group):
    """A group that offers the nearest verb for one it does not have."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the group and add `--debug`."""
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which one meets them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; raise `click.UsageError` naming the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise click.UsageError(
                f"There is no command '{args[0]}'.{nearest(args[0], self.commands)} "
                f"Commands: {', '.join(self.commands)}.",
                ctx,
            )
        return super().resolve_command(ctx, args)
