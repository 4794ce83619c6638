"""State protocols: where in a text the state of the network is set back to zero.

Every protocol is a list of *segments*. A segment is a half-open range of positions
in the ids of a text: the tokens to predict, `ids[start:stop]`, from the inputs one
place earlier, `ids[start - 1 : stop - 1]`, beginning with a zero state. All protocols
cover the same predictions, so their token counts are equal and their perplexities
differ only by what the state was allowed to remember.

| protocol   | a segment is                                                 |
|------------|--------------------------------------------------------------|
| `carry`    | a whole file: one stream, as the papers do at test time      |
| `lanes:K`  | one of K nearly equal pieces of a file; K is part of the figure |
| `window:N` | N predictions of a file (the last window may be shorter)     |
| `sentence` | a line with its line end                                     |
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, nearest

Positions = NDArray[np.int64]

NAMES = ("carry", "lanes", "sentence", "window")
EXPECTED = "'carry', 'sentence', 'window:N' or 'lanes:K' (N and K whole numbers)"

# Above this many predictions in one file, one stream takes too long to be a default.
LONGEST_CARRIED_FILE = 1_000_000
DEFAULT_LANES = 64
LARGEST = 10**15  # tokens: positions are 64-bit numbers


@dataclass(frozen=True)
class Protocol:
    """A state protocol: its name, and the number that `window` and `lanes` need.

    Raises:
        ConfigError: For an unknown name, or a size that is missing, spare or out of
            its range.
    """

    name: str
    size: int | None = None

    def __post_init__(self) -> None:
        """Check the name and the size."""
        if self.name not in NAMES:
            raise ConfigError(
                f"Expected the protocol {EXPECTED}, received '{self.name}'."
                + nearest(self.name, NAMES)
            )
        sized = self.name in ("window", "lanes")
        if sized and (self.size is None or not 1 <= self.size <= LARGEST):
            received = "no number" if self.size is None else str(self.size)
            raise ConfigError(
                f"Expected a whole number of 1 or more, and at most {LARGEST:.0e}, "
                f"after '{self.name}:', "
                f"received {received}. Write for example "
                f"'{self.name}:{256 if self.name == 'window' else DEFAULT_LANES}'."
            )
        if not sized and self.size is not None:
            raise ConfigError(
                f"The protocol '{self.name}' takes no number, received "
                f"'{self.name}:{self.size}'. Write '{self.name}'."
            )

    def __str__(self) -> str:
        """Return the protocol as it is written, such as `window:256`."""
        return self.name if self.size is None else f"{self.name}:{self.size}"


def parse_protocol(text: str) -> Protocol:
    """Read a protocol as it is written on the command line.

    Args:
        text: `carry`, `sentence`, `window:N` or `lanes:K`.

    Raises:
        ConfigError: If it is none of these.
    """
    name, colon, number = text.strip().partition(":")
    if name not in NAMES or not colon:
        return Protocol(name)
    try:
        size = int(number)
    except ValueError:
        raise ConfigError(
            f"Expected a whole number after '{name}:', received '{number}'. "
            f"The protocols are {EXPECTED}."
        ) from None
    return Protocol(name, size)


def default_protocol(text: EncodedText) -> Protocol:
    """Return the protocol used when neither the user nor the model names one.

    `carry`, unless one file has more than a million predictions: then `lanes:64`, since
    a single stream of that length can take hours. Files run side by
    side, so many short ones stay with `carry`.
    """
    longest = int(np.max(text.stops - text.starts, initial=0))
    if longest > LONGEST_CARRIED_FILE:
        return Protocol("lanes", DEFAULT_LANES)
    return Protocol("carry")


def protocol_for(text: EncodedText, given: str | Protocol | None) -> Protocol:
    """Return the protocol that is given; if none is, that for the size of a text.

    Raises:
        ConfigError: A string that is no protocol.
    """
    if given is None:
        return default_protocol(text)
    return parse_protocol(given) if isinstance(given, str) else given


def segments(text: EncodedText, protocol: Protocol) -> tuple[Positions, Positions]:
    """Return the segments of a text under a protocol, in the order of the text.

    Files without a prediction give no segment; no segment is empty. With a vocabulary
    that has no line end, each file is one sentence.

    Returns:
        `(starts, stops)`, two arrays of shape (segments,).
    """
    starts = np.asarray(text.starts, np.int64)
    stops = np.asarray(text.stops, np.int64)
    if protocol.name == "sentence":
        return text.lines()
    kept = starts < stops
    starts, stops = starts[kept], stops[kept]
    if protocol.name == "window":
        return _windows(starts, stops, protocol.size or 1)
    if protocol.name == "lanes":
        return _lanes(starts, stops, protocol.size or 1)
    return starts, stops


def long_lanes(
    text: EncodedText, lanes: int, shortest: int
) -> tuple[Positions, Positions]:
    """Return segments as `lanes:K` does, but fewer where they would be short.

    Args:
        text: Whose files are cut.
        lanes: Pieces of a file, at most.
        shortest: Predictions that a piece has at least; a shorter file stays whole.

    Returns:
        `(starts, stops)`, two arrays of shape (segments,).
    """
    starts, stops = segments(text, Protocol("carry"))
    return _lanes(starts, stops, lanes, shortest)


def _windows(
    starts: Positions, stops: Positions, size: int
) -> tuple[Positions, Positions]:
    """Cut every file after each `size` targets, counted from its first."""
    pieces = -(-(stops - starts) // size)
    owner, number = _enumerate(pieces)
    begins = starts[owner] + number * size
    return begins, np.minimum(begins + size, stops[owner])


def _lanes(
    starts: Positions, stops: Positions, lanes: int, shortest: int = 1
) -> tuple[Positions, Positions]:
    """Cut every file into `lanes` nearly equal pieces, fewer if it is too short."""
    lengths = stops - starts
    pieces = np.clip(lengths // shortest, 1, lanes)
    owner, number = _enumerate(pieces)
    return (
        starts[owner] + number * lengths[owner] // pieces[owner],
        starts[owner] + (number + 1) * lengths[owner] // pieces[owner],
    )


def _enumerate(pieces: Positions) -> tuple[Positions, Positions]:
    """Return for each piece its file and its number within the file."""
    owner = np.repeat(np.arange(len(pieces)), pieces)
    first = np.cumsum(pieces) - pieces
    return owner, np.arange(len(owner)) - first[owner]
