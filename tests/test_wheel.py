"""The built wheel, installed where the checkout can't be seen."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(CHECKOUT)], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an environment of its own; return its `rnnlm`.

    The dependencies are those of the running environment, added by path: an editable
    install of the checkout there is not seen through it.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    pip = [sys.executable, "-m", "pip", "--python", str(python), *install]
    subprocess.run(pip, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    here = sysconfig.get_paths()["purelib"]
    (packages / "dependencies.pth").write_text(f"{here}\n")
    return folder / "bin" / "rnnlm"


def rnnlm(command: Path, *arguments: str, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(command), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_the_package_and_its_recipes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    source = CHECKOUT / "src"
    shipped = {
        str(path.relative_to(source))
        for kind in ("*.py", "*.toml", "*.html", "*.css", "*.js", "py.typed")
        for path in source.rglob(kind)
    }
    assert "keras_rnnlm/py.typed" in shipped
    assert "keras_rnnlm/explanation/template/page.js" in shipped
    assert shipped <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not [name for name in held if name.startswith("tests")]


def test_its_command_answers(command: Path, tmp_path: Path) -> None:
    assert rnnlm(command, "--version", cwd=tmp_path).startswith("rnnlm 0.")
    assert "train" in rnnlm(command, "--help", cwd=tmp_path)
    listed = rnnlm(command, "recipes", cwd=tmp_path).splitlines()
    assert listed
    name = listed[0].split()[0]
    assert "=" in rnnlm(command, "recipes", name, cwd=tmp_path)


def test_it_trains_evaluates_and_writes(
    command: Path, english_file: Path, tmp_path: Path
) -> None:
    small = [f"--set={s}" for s in ("units=16", "layers=1", "max_steps=20")]
    train = ["train", str(english_file), "--out", "model", "--seed", "1", *small]
    rnnlm(command, *train, cwd=tmp_path)
    assert "perplexity" in rnnlm(
        command, "evaluate", "model", str(english_file), cwd=tmp_path
    )
    written = rnnlm(command, "generate", "model", "--tokens", "10", cwd=tmp_path)
    assert written.strip()
