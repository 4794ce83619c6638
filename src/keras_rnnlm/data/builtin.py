"""Real English that every CPython carries, for the demonstration.

The language reference (`pydoc_data.topics`) and the docstrings of the standard library
are read from the running Python's own files. Nothing of them is kept in this package,
and no module of the library is imported for its docstrings.
"""

import hashlib
import os
import re
import sysconfig
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from keras_rnnlm.errors import InputError

CHARACTERS = 1_200_000
_LEFT_OUT = {
    "__pycache__",
    "encodings",  # the same few sentences in a hundred files
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
}
_LARGEST_SOURCE = 1 << 20  # longer sources are tables
_TRIPLE_QUOTED = re.compile(r'("""|\'\'\')(.*?)\1', re.DOTALL)
_BULLET = re.compile(r"^(?:[*-]|\d+[.)]) +")
_NOT_PROSE = re.compile(r">>>|::|[|{}<>=\\~^`#%]|--|\w\w\(\w+[,=]|Copyright|https?:")
_SHORTEST = 40
_LETTERS_LEAST = 0.9


def python_reference(characters: int = CHARACTERS) -> str:
    """Return English prose about Python, one paragraph a line.

    Sections of the reference and modules of the library come in an order computed from
    their names, so that each part of the text has some of both. No paragraph comes
    twice. The same Python version gives the same text.

    Args:
        characters: stop behind the paragraph in which this many are reached.

    Raises:
        InputError: this Python comes without its reference.
    """
    taken: dict[str, None] = {}  # a set that keeps the order
    length = 0
    for text in _texts():
        for paragraph in _paragraphs(text):
            if paragraph not in taken:
                taken[paragraph] = None
                length += len(paragraph) + 1
            if length >= characters:
                return "\n".join(taken) + "\n"
    return "\n".join(taken) + "\n"


def _texts() -> Iterator[str]:
    """Yield the sections and the modules' docstrings, in an order from their names."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError(
            "This Python comes without pydoc_data, the text of the demonstration. "
            "Install the full standard library, or train on a text of your own: "
            "rnnlm train TEXT."
        ) from None
    library = Path(sysconfig.get_path("stdlib"))
    modules = {path.relative_to(library).as_posix(): path for path in _modules(library)}
    names = {hashlib.sha256(name.encode()).digest(): name for name in topics | modules}
    for _, name in sorted(names.items()):
        yield _docstrings(modules[name]) if name in modules else topics[name]


def _modules(library: Path) -> Iterator[Path]:
    """Yield the sources of the standard library."""
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            path = Path(folder, name)
            if path.suffix == ".py" and path.stat().st_size <= _LARGEST_SOURCE:
                yield path


def _docstrings(path: Path) -> str:
    """Return the triple-quoted strings that begin a line of a source.

    A tenth of the time of parsing it; what is no docstring is hardly ever prose.
    """
    source = path.read_text(encoding="utf-8", errors="replace")
    found = []
    for match in _TRIPLE_QUOTED.finditer(source):
        before = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        if before.strip() in ("", "r"):
            found.append(cleandoc(match[2]))
    return "\n\n".join(found)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs that read like prose, each as one line."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.strip("\n").split("\n")
        indents = {len(line) - len(line.lstrip()) for line in lines[1:]}
        if lines[0].startswith("    ") or len(indents) > 1:  # code, lists, tables
            continue
        line = _BULLET.sub("", " ".join(" ".join(lines).split()))
        if _is_prose(line):
            yield line


def _is_prose(line: str) -> bool:
    """Tell sentences from code, tables, headings and signatures."""
    if len(line) < _SHORTEST or not line[0].isupper() or line[-1] not in ".!?:":
        return False
    plain = sum(character.isalpha() or character in " .,;" for character in line)
    return plain >= _LETTERS_LEAST * len(line) and not _NOT_PROSE.search(line)
