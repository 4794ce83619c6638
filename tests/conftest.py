"""What all tests share: a settled backend, private caches, corpora, what may be absent.

Helpers are both plain functions (`from tests.conftest import needs_data`) and fixtures
of the same name (`def test_it(needs_data): folder = needs_data("ptb")`).

A test whose corpus, compiler, backend or browser is absent is skipped and says so. The
variable `REQUIRE` (any of `data,compiler,backends,browser`) turns such a skip into a
failure: that is how a machine that should have everything proves that nothing was left
out.
"""

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# Examples take as long as the machine lets them: no test is about their time.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
# All of this is read when Keras or matplotlib is first imported, so it stands before
# any test module is.
PRIVATE = Path(tempfile.mkdtemp(prefix="rnnlm-tests-"))
atexit.register(shutil.rmtree, PRIVATE, ignore_errors=True)
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["MPLBACKEND"] = "Agg"
os.environ["MPLCONFIGDIR"] = str(PRIVATE / "matplotlib")
os.environ["KERAS_HOME"] = str(PRIVATE / "keras")
os.environ["RNNLM_CACHE"] = str(PRIVATE / "cache")
os.environ["RNNLM_PROGRAMS"] = "off"  # tests that keep programs say so
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
# Compiled kernels are kept from run to run: their names say what they were made from.
KERNELS = Path(__file__).resolve().parent.parent / ".pytest_cache" / "kernels"
KERNELS.mkdir(parents=True, exist_ok=True)
(PRIVATE / "cache").mkdir()
(PRIVATE / "cache" / "native").symlink_to(KERNELS)
# Tests compile hundreds of small programs and run each a few times: compiling quickly
# saves a third of the time. Processes that a test starts compile as users' do where
# that matters (tests/training/kill_and_resume.py).
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if os.environ["KERAS_BACKEND"] == "tensorflow":
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# Two processes of tests share two cores: threads of the C++ kernels, which wait for
# each other by spinning, would stand in the other's way. Tests of threads say how many.
os.environ.setdefault("RNNLM_THREADS", "1")
# Many tests compile the same programs, in this process and in those they start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PRIVATE / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

CHECKOUT = Path(__file__).resolve().parent.parent
TEXTS = Path(__file__).resolve().parent / "texts"
REQUIRABLE = ("data", "compiler", "backends", "browser")
CORPORA = ("ptb", "shakespeare", "songci")
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BACKENDS = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}


def required() -> set[str]:
    """What `REQUIRE` says must be there."""
    names = {name.strip() for name in os.environ.get("REQUIRE", "").split(",")} - {""}
    if unknown := names - set(REQUIRABLE):
        raise pytest.UsageError(
            f"REQUIRE takes {', '.join(REQUIRABLE)}; received {sorted(unknown)}"
        )
    return names


def _absent(kind: str, sentence: str) -> NoReturn:
    if kind in required():
        pytest.fail(f"{sentence} (REQUIRE names {kind})", pytrace=False)
    pytest.skip(sentence)


def needs_data(name: str) -> Path:
    """Return the folder of the corpus `name`, or skip."""
    if name not in CORPORA:
        raise ValueError(f"the corpora are {', '.join(CORPORA)}; received {name!r}")
    root = Path(os.environ.get("RNNLM_DATA", CHECKOUT.parent / "shared" / "data"))
    folder = root / name
    if not folder.is_dir():
        _absent("data", f"needs the corpus {name!r} at {folder}; RNNLM_DATA moves it")
    return folder


def needs_backend(name: str) -> str:
    """Return `name` if that Keras backend is installed, or skip.

    For tests that start a process on another backend than their own. Mark them
    `@pytest.mark.backends`: `make test` has JAX alone and leaves them to
    `make test-backends`.
    """
    if name not in BACKENDS:
        raise ValueError(f"the backends are {', '.join(BACKENDS)}; received {name!r}")
    if importlib.util.find_spec(BACKENDS[name]) is None:
        _absent("backends", f"needs the backend {name!r}, which is not installed")
    return name


def only_on(*names: str) -> None:
    """Skip a test of code that is written for some backends and not for this one."""
    here = os.environ["KERAS_BACKEND"]
    if here not in names:
        pytest.skip(f"is about {' and '.join(names)}, and this run is on {here}")


def needs_compiler() -> str:
    """Return the path of a C++ compiler, or skip."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and (path := shutil.which(name)):
            return path
    _absent("compiler", "needs a C++ compiler (g++, clang++ or $CXX)")


def needs_browser() -> str:
    """Return the path of Chromium, for Playwright to drive, or skip."""
    if importlib.util.find_spec("playwright") is None:
        _absent("browser", "needs Playwright (pip install playwright)")
    for name in (os.environ.get("CHROMIUM"), *CHROMIUMS):
        if name and (path := shutil.which(name)):
            return path
    _absent(
        "browser", "needs Chromium (Debian: apt-get install chromium, or $CHROMIUM)"
    )


@pytest.fixture(name="needs_data")
def _needs_data() -> Callable[[str], Path]:
    return needs_data


@pytest.fixture(name="needs_backend")
def _needs_backend() -> Callable[[str], str]:
    return needs_backend


@pytest.fixture(name="needs_compiler")
def _needs_compiler() -> Callable[[], str]:
    return needs_compiler


@pytest.fixture(name="only_on")
def _only_on() -> Callable[..., None]:
    return only_on


@pytest.fixture(scope="session")
def english_file() -> Path:
    """A short English story, 42 lines; read it, do not write to it."""
    return TEXTS / "english.txt"


@pytest.fixture(scope="session")
def chinese_file() -> Path:
    """The same story in Chinese."""
    return TEXTS / "chinese.txt"


@pytest.fixture(scope="session")
def english_text(english_file: Path) -> str:
    return english_file.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chinese_text(chinese_file: Path) -> str:
    return chinese_file.read_text(encoding="utf-8")


# Files that take longest: begun first, so that no process ends with one of them alone.
LONG = (
    "test_tune",
    "test_readme",
    "test_resume",
    "test_recipes_reach_figures",
    "test_train",
    "test_resegmentation",
    "test_train_members",
    "test_cells",
    "test_native",
    "test_search",
    "test_little_data",
    "test_compare",
    "test_suggest",
    "test_adapt",
    "test_demo",
)
# Files that compile many programs, of what is not touched every day: on JAX they go
# with the slow tests.
SELDOM = (
    "tests/cli/test_additions.py",
    "tests/cli/test_networks.py",
    "tests/examples/test_my_cell.py",
    "tests/layers/cells/test_cells.py",
    "tests/layers/cells/test_parallel_forms.py",
    "tests/layers/test_attention.py",
    "tests/layers/test_blocks.py",
    "tests/layers/test_mixture.py",
    "tests/layers/test_watch.py",
    "tests/models/test_block_lms.py",
    "tests/models/test_cells_in_models.py",
    "tests/models/test_stacks.py",
    "tests/scoring/test_additions.py",
    "tests/scoring/test_dropout.py",
    "tests/scoring/test_dynamic.py",
    "tests/scoring/test_search.py",
    "tests/training/test_architectures.py",
    "tests/training/test_cells.py",
    "tests/training/test_final_system.py",
    "tests/training/test_networks.py",
    "tests/training/test_recipes_reach_figures.py",
    "tests/training/test_resume_options.py",
    "tests/training/test_train_members.py",
)
# Files of what is no business of a backend (text, NumPy, clocks, files), or of what is
# made of parts that are tested on each: beside JAX they are left out.
ONCE = (
    "tests/generation/test_samplers.py",
    "tests/generation/test_stops.py",
    "tests/scoring/test_additions.py",
    "tests/scoring/test_experts.py",
    "tests/scoring/test_formats.py",
    "tests/scoring/test_gate.py",
    "tests/scoring/test_held_out.py",
    "tests/scoring/test_kneser_ney.py",
    "tests/scoring/test_ngram.py",
    "tests/scoring/test_prefix_tree.py",
    "tests/scoring/test_protocols.py",
    "tests/scoring/test_search.py",
    "tests/scoring/test_temperature.py",
    "tests/training/test_final_evaluation.py",
    "tests/training/test_final_system.py",
    "tests/training/test_member_parts.py",
    "tests/training/test_recipes_reach_figures.py",
    "tests/training/test_resegmentation.py",
    "tests/training/test_resume_options.py",
    "tests/training/test_schedules.py",
    "tests/training/test_scoring_speed.py",
    "tests/training/test_signals.py",
    "tests/training/test_speed.py",
    "tests/training/test_throughput.py",
    "tests/training/test_validation_plan.py",
)
BENCHMARKS = ("tests/bench/", "tests/benchmarks/", "tests/cli/test_bench.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first; mark what runs elsewhere, seldom, or on JAX alone."""
    from keras_rnnlm.layers.kernels.native import build

    lesser = set(build.TARGETS) - {build.best_target()}
    for item in items:
        where = item.path.relative_to(CHECKOUT).as_posix()
        if where.startswith(BENCHMARKS):
            item.add_marker(pytest.mark.benchmarks)
        if where in SELDOM and os.environ["KERAS_BACKEND"] == "jax":
            item.add_marker(pytest.mark.slow)
        if where in ONCE:
            item.add_marker(pytest.mark.once)
        chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value in lesser for value in chosen):
            # Their kernels take as long to compile as the ones that will be used.
            item.add_marker(pytest.mark.slow)
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONG)))
