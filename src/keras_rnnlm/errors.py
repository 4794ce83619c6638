"""The exceptions users meet: each says what was expected, what came, what to do.

All of them are the user's to mend and end the command line with exit code 2.
Anything else that escapes is a fault of ours and ends it with exit code 1.
"""

import difflib
from collections.abc import Iterable


class RNNLMError(Exception):
    """Base of all errors that keras-rnnlm raises on purpose."""


class InputError(RNNLMError, ValueError):
    """A text, a file or an argument cannot be used as given."""


class ProbabilityError(InputError):
    """A network gives values that are no probabilities: it is damaged or astray."""


class ConfigError(RNNLMError, ValueError):
    """A setting or a recipe is unknown or has an impossible value."""


class FolderError(RNNLMError):
    """A model folder is missing, damaged, foreign or not writable."""


class ResumeError(RNNLMError):
    """A run cannot be resumed as asked."""


class StorageError(RNNLMError):
    """Where a search keeps its trials cannot be read or written any more."""


class TrainingError(RNNLMError):
    """Training cannot go on, for example after a loss that is not a number."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the choice most like `name`, or `""`."""
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" Did you mean '{found[0]}'?" if found else ""
