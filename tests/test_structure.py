"""The shape of the package: public names, which way imports go, what start-up costs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_rnnlm
from tests.conftest import CHECKOUT

SOURCE = CHECKOUT / "src" / "keras_rnnlm"

# A part of the package imports only from floors below its own, never from a neighbour.
FLOORS = {
    "errors": 0,
    "allocator": 0,
    "child_python": 0,
    "file_lock": 0,
    "files": 0,
    "processor": 0,
    "user_cache": 0,
    "backend": 0,
    "machine": 0.5,
    "own_code": 0.5,
    "cell_registry": 0.5,
    "recipe_files": 0.5,
    "setting_values": 0.5,
    "code_hash": 0.7,
    "setting_checks": 0.7,
    "network_settings": 0.7,
    "config": 1,
    "program_cache": 1,
    "fonts": 1,
    "drawing": 1.5,
    "recipe_writing": 1.5,
    "data": 2,
    "layers": 2,
    "plots": 2,
    "models": 3,
    "scoring": 4,
    "generation": 4,
    "language_model": 5,
    "testing": 4,
    "explanation": 6,
    "training": 6,
    "bench": 7,
    "search": 7,
    "pictures": 7.5,
    "cli": 8,
    "__main__": 9,
}
HEAVY = ("keras", "jax", "tensorflow", "torch", "numpy", "matplotlib", "rich")


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield node.module or ""
            # `from keras_rnnlm import layers` imports a module by its name.
            if node.module == "keras_rnnlm":
                names = {name.name for name in node.names}
                yield from (f"keras_rnnlm.{name}" for name in names & set(FLOORS))


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_public_names() -> None:
    assert sorted(keras_rnnlm.__all__) == [
        "Adaptation",
        "Corpus",
        "LanguageModel",
        "Perplexity",
        "RNNLM",
        "Settings",
        "TokenCrossEntropy",
        "Tokenizer",
        "WordVectors",
        "adapt",
        "explain",
        "layers",
        "load",
        "read_vectors",
        "register_cell",
        "train",
    ]
    for name in keras_rnnlm.__all__:
        assert getattr(keras_rnnlm, name) is not None
        assert name in dir(keras_rnnlm)
    with pytest.raises(AttributeError, match="no attribute 'Corpse'"):
        keras_rnnlm.Corpse  # noqa: B018


def test_version_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert keras_rnnlm.__version__ == project["project"]["version"]


def test_every_part_has_a_floor() -> None:
    assert {part_of(path) for path in modules()} - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":  # names of all floors, loaded when used
        return
    for name in imported(path):
        if name == "keras_rnnlm":
            continue
        root, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if root == "keras_rnnlm" and other != part:
            assert FLOORS[other] < FLOORS[part], (
                f"{part} (floor {FLOORS[part]}) imports {name} (floor {FLOORS[other]})"
            )


def test_data_knows_keras_in_streams_alone() -> None:
    for path in (SOURCE / "data").rglob("*.py"):
        roots = {name.partition(".")[0] for name in imported(path)}
        assert "keras" not in roots or path.name == "streams.py", path
        assert not roots & {"jax", "tensorflow", "torch"}, path


def test_all_that_is_imported_is_declared() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = list(project["project"]["dependencies"])
    extras = ("tensorflow", "torch", "jieba", "onnx", "vectors", "tune", "tensorboard")
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    declared = {re.split(r"[^\w-]", line)[0] for line in wanted}
    declared = {name.removesuffix("-cpu").lower() for name in declared}
    for path in modules():
        roots = {name.partition(".")[0] for name in imported(path)}
        foreign = roots - set(sys.stdlib_module_names) - {"keras_rnnlm", "__future__"}
        assert foreign <= declared, f"{path} imports {sorted(foreign - declared)}"


def test_no_file_is_too_long() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert not {str(p): n for p, n in lengths.items() if n > 400}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["compare", "--help"],
        ["vectors", "train", "--help"],
        ["explain", "--help"],
        ["tune", "--help"],
        ["plot", "--help"],
        ["bench", "--help"],
        ["recipes"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from keras_rnnlm.cli.main import run; "
        f"code = run({arguments!r}); "
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout
