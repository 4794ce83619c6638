"""The READMEs: every command and every block of Python in them is run.

Commands of `rnnlm` are run one after the other in a folder that holds small texts under
the names the READMEs use, in this process, since starting Python takes longer than what
most of them do. What differs from typing them is in SHORTER, and the environment: a
recipe of a small network, a compiler that optimizes little, and compiled programs kept
from one command to the next.
`make`, `pip` and paths in `.venv` are not run here: their targets, extras and verbs are
looked up, and the proof in a new environment (`.ci/run`) runs them.
"""

import ast
import contextlib
import gzip
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import pytest
from click.testing import CliRunner
from jax.experimental.compilation_cache import compilation_cache

from keras_rnnlm.cli.main import rnnlm, run
from keras_rnnlm.config import recipe_text
from tests.conftest import CHECKOUT, needs_backend
from tests.readme import (
    READMES,
    anchors,
    blocks,
    commands,
    error_messages,
    links,
    measured_commands,
    prose,
    text_of,
)

# What is shorter here than in the READMEs: pattern and what takes its place.
SHORTER = (
    (r"--minutes \d+", "--minutes 0.02"),
    (r"epochs=\d+", "epochs=2"),
    (r'\{"minutes": \d+\}', '{"minutes": 0.02, "units": 16, "layers": 1}'),
)
SMALL_RECIPE = "units = 16\nlayers = 1\nbatch_size = 4\nsteps = 8\nvalidations = 1\n"
# Where this process finds its modules, whatever folder another one starts in.
SEARCHED = os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path)
# Not run here but looked up; see `test_commands_of_the_checkout`.
CHECKED = re.compile(r"make |python3 -m venv |\.venv/bin/")
COMMANDS = [line for line in commands("en") if not CHECKED.match(line)]
HERE = [line for line in COMMANDS if "KERAS_BACKEND" not in line]
ELSEWHERE = [line for line in COMMANDS if "KERAS_BACKEND" in line]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def shorter(text: str) -> str:
    for pattern, instead in SHORTER:
        text = re.sub(pattern, instead, text)
    return text


def write_texts(folder: Path, english: str, chinese: str) -> None:
    """Write small texts under the names that the READMEs use."""
    lines = english.splitlines(keepends=True)
    poems = chinese.splitlines(keepends=True)
    words = re.sub(r"[^\w\s]", "", english.lower()).splitlines(keepends=True)
    parts = {
        "my-text.txt": english,
        "other-text.txt": "".join(lines[:12]),
        "chinese.txt": chinese,
        "text8": "".join(c for c in english.lower() if c.isalpha() or c == " "),
        "enwik8": english + chinese,
        "input.txt": english,
        "books/english.txt": english,
    }
    for pattern, whole in (
        ("{}.txt", words),
        ("ptb.{}.txt", words),
        ("wiki.{}.tokens", words),
        ("songci.{}.txt", poems),
    ):
        cuts = {"train": slice(0, 30), "valid": slice(30, 36), "test": slice(36, None)}
        for part, cut in cuts.items():
            parts[pattern.format(part)] = "".join(whole[cut])
    (folder / "books").mkdir()
    for name, text in parts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "old.txt").write_text(chinese, encoding="gb18030")
    (folder / "notes.txt.gz").write_bytes(gzip.compress(english.encode()))


def execute(command: str) -> Done:
    """Run a command of the form `[echo TEXT | | cat FILE |] rnnlm ... [> FILE]`."""
    form = re.fullmatch(r"(?:(echo|cat) (.+?) \| )?rnnlm (.+?)(?: > (\S+))?", command)
    assert form is not None, f"cannot run {command}"
    source, given, arguments, target = form.groups()
    typed = b""
    if source == "echo":
        typed = " ".join(shlex.split(given)).encode() + b"\n"
    elif source == "cat":
        typed = Path(given).read_bytes()
    with CliRunner().isolation(input=typed) as (out, err, _):
        code = run(shlex.split(shorter(arguments)))
        printed, said = out.getvalue().decode(), err.getvalue().decode()
    if target:
        Path(target).write_text(printed, encoding="utf-8")
    return Done(code, printed, said)


def configure(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def quick(
    tmp_path_factory: pytest.TempPathFactory, english_text: str, chinese_text: str
) -> Iterator[Path]:
    """A folder with texts, a recipe of a small network and a compiler's memory."""
    folder = tmp_path_factory.mktemp("readme")
    write_texts(folder, english_text, chinese_text)
    (folder / "small.toml").write_text(SMALL_RECIPE)
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_disable_most_optimizations": True,
    }
    before = {name: jax.config.values[name] for name in settings}
    configure(settings)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("RNNLM_RECIPE", str(folder / "small.toml"))
        yield folder
    configure(before)


@pytest.fixture(scope="module")
def done(quick: Path) -> dict[str, Done]:
    """All commands of the READMEs that run in this process, run in their order."""
    found = {}
    for command in HERE:
        found[command] = execute(command)
        recipe = quick / "mine.toml"
        if recipe.exists() and recipe.read_text() == recipe_text("word"):
            recipe.write_text(SMALL_RECIPE)  # the saved file has been seen to be right
    return found


# -- the commands ---------------------------------------------------------------------


@pytest.mark.parametrize("command", HERE)
def test_command(done: dict[str, Done], command: str) -> None:
    assert done[command].code == 0, done[command].err
    assert done[command].out or " train " in command or " > " in command


def test_what_the_commands_leave_behind(done: dict[str, Done], quick: Path) -> None:
    weights = quick.joinpath("my-model/model.safetensors").read_bytes()
    again = quick.joinpath("my-model-again/model.safetensors").read_bytes()
    assert weights == again
    resumed = next(line for line in HERE if "--resume" in line)
    assert "has finished; nothing to do" in done[resumed].err
    assert quick.joinpath("mine.toml").read_text() == SMALL_RECIPE
    scores = quick.joinpath("scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in scores]) == 12
    evaluated = next(line for line in HERE if line.endswith("--json"))
    assert json.loads(done[evaluated].out)["protocol"] == "sentence"
    three = next(line for line in HERE if line.endswith("-n 3"))
    assert done[three].out.count("---\n") == 2


def test_the_tree_of_a_model_folder(done: dict[str, Done], quick: Path) -> None:
    there = {p.name for p in (quick / "my-model").iterdir() if p.name[0] != "."}
    for language in READMES:
        (tree,) = blocks(language, "text")
        assert set(re.findall(r"── (\S+)", tree)) == there


def test_what_the_readmes_say_of_texts(done: dict[str, Done], quick: Path) -> None:
    def report(name: str) -> dict[str, Any]:
        path = quick / "runs" / name / "report.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    bytes_there = (quick / "enwik8").stat().st_size
    data = report("enwik8")["data"]
    assert data["train"]["characters"] == int(0.9 * bytes_there)
    test = report("text8")["test"]
    assert test["bits_per_byte"] == test["bits_per_character"]
    assert report("input")["valid"]["protocol"] == "window:256"
    assert report("old")["data"]["tokenizer"] == "char"
    assert "灯" in (quick / "chinese-model" / "tokenizer.json").read_text("utf-8")
    segmented = (quick / "chinese-words" / "tokenizer.json").read_text("utf-8")
    assert "灯塔" in segmented


@pytest.mark.backends
@pytest.mark.parametrize("command", ELSEWHERE)
def test_a_command_on_another_backend(quick: Path, command: str) -> None:
    variable, _, arguments = command.partition(" rnnlm ")
    name, _, backend = variable.partition("=")
    needs_backend(backend)
    if not (quick / "my-model").exists():
        assert execute(next(c for c in HERE if "--out my-model" in c)).code == 0
    here = execute(f"rnnlm {arguments}")
    found = subprocess.run(
        [sys.executable, "-m", "keras_rnnlm", *shlex.split(arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, name: backend, "PYTHONPATH": SEARCHED},
    )
    assert found.returncode == 0, found.stderr
    figures = re.compile(r"^loss.* (\S+)$", re.M)
    (there,) = figures.findall(found.stdout)
    (loss,) = figures.findall(here.out)
    assert float(there) == pytest.approx(float(loss), abs=2e-4)


def test_commands_of_the_checkout() -> None:
    targets = re.findall(
        r"^([\w-]+):", (CHECKOUT / "Makefile").read_text("utf-8"), re.M
    )
    for command in [line for line in commands("en") if CHECKED.match(line)]:
        words = shlex.split(command)
        if words[0] == "make":
            assert set(words[1:]) <= set(targets), command
        elif words[0] == ".venv/bin/rnnlm":
            assert words[1] in rnnlm.commands
        elif "-c" in words:
            assert (CHECKOUT / words[words.index("-c") + 1]).is_file()
        else:
            assert words[1:3] in (["-m", "venv"], ["-m", "pytest"]), command


def test_extras() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    there = set(project["project"]["optional-dependencies"])
    for language in READMES:
        named = re.findall(r"\.\[(\w+)\]", text_of(language))
        assert set(named) == there


def test_measured_commands_are_among_those_that_are_run() -> None:
    known = {*commands("en"), "rnnlm demo"}
    for language in READMES:
        assert measured_commands(language)
        assert set(measured_commands(language)) <= known


# -- Python ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(blocks("en", "python"))))
def test_python(done: dict[str, Done], quick: Path, number: int) -> None:
    code = compile(shorter(blocks("en", "python")[number]), f"README {number}", "exec")
    before = set(quick.iterdir()) | set((quick / "runs").iterdir())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": "__main__"})
    assert printed.getvalue()
    (model,) = {*quick.iterdir(), *(quick / "runs").iterdir()} - before
    assert execute(f"rnnlm info {model}").code == 0


# -- both languages -------------------------------------------------------------------


def test_both_readmes_have_the_same_commands_and_code() -> None:
    assert commands("en") == commands("zh")
    assert measured_commands("en") == measured_commands("zh")
    assert [ast.dump(ast.parse(block)) for block in blocks("en", "python")] == [
        ast.dump(ast.parse(block)) for block in blocks("zh", "python")
    ]
    for language in READMES:
        kinds = re.findall(r"^```(.*)\n", text_of(language), re.M)
        assert set(kinds[::2]) == {"sh", "python", "text"}
        assert set(kinds[1::2]) == {""}


def test_both_readmes_have_the_same_facts() -> None:
    assert error_messages("en") == error_messages("zh")
    outward = [
        [link for link in links(language) if link.startswith("http")]
        for language in READMES
    ]
    assert outward[0] == outward[1]
    numbers = [re.findall(r"\d+(?:,\d{3})+", prose(language)) for language in READMES]
    assert numbers[0] == numbers[1]
    counts = [
        (prose(language).count("\n|"), prose(language).count("\n## "))
        for language in READMES
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("language", READMES)
def test_links(language: str) -> None:
    for link in links(language):
        if link.startswith("#"):
            assert link[1:] in anchors(READMES[language])
        elif not link.startswith("http"):
            assert (CHECKOUT / link).exists(), link
