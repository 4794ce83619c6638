"""`rnnlm tune`: real processes; those that take long are killed and gone on with."""

import csv
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.config import Settings
from tests.conftest import CHECKOUT
from tests.search.test_plot import is_picture
from tests.search.test_tune import use_fakes

Captured = pytest.CaptureFixture[str]

SMALL = ("units=16", "layers=1", "batch_size=4", "steps=8", "validations=1")
SEARCH = ("learning_rate=0.001:0.1:log", "units=8:24:8")
WRITTEN = ("best.toml", "trials.csv", "table.txt", "report.json")
PICTURES = ("progress.png", "parallel.png", "importance.png")


def command(text: Path, *options: str) -> list[str]:
    words = ["tune", str(text), "--tokenizer", "char", "--split", "0.8,0.1,0.1"]
    words += [f"--set={item}" for item in SMALL]
    return [*words, *(f"--search={item}" for item in SEARCH), *options]


def start(
    words: list[str], module: str = "keras_rnnlm", **variables: str
) -> subprocess.Popen[str]:
    paths = [str(CHECKOUT), str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, to be killed as one
    )


def fake(words: list[str], steps: int = 20) -> subprocess.Popen[str]:
    variables = {"FAKE_STEPS": str(steps), "FAKE_SECONDS": "0.02"}
    return start(words, "tests.search.fake_tune", **variables)


def said_by(process: subprocess.Popen[str]) -> tuple[str, str]:
    return process.communicate(timeout=600)


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the records of all trials by number; a number twice is an error."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob("trials/*/trial.json")):
        record = json.loads(path.read_text("utf-8"))
        assert record["number"] not in found
        found[record["number"]] = record
    return found


def journal_trials(folder: Path) -> int:
    """Return how many trials the journal says were created."""
    lines = (folder / "journal.jsonl").read_text("utf-8").splitlines()
    return sum(json.loads(line)["op_code"] == 4 for line in lines)


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    while not list(folder.glob(pattern)) and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, said_by(process)


Fakes = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_fake(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Fakes:
    """Run the command in this process; its trainings are fake ones of one step."""
    use_fakes(monkeypatch)
    monkeypatch.setenv("FAKE_STEPS", "1")
    # The tests before are not in the time of this search.
    monkeypatch.setattr("keras_rnnlm.cli.tune.started_at", time.monotonic)

    def call(words: list[str]) -> tuple[int, str, str]:
        """Return its code, what it told and what it said."""
        capsys.readouterr()
        code = run(words)
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "Give --minutes, or --trials"),
        (["--trials", "3"], "give --trial-minutes or --trial-steps"),
        (["--minutes", "9", "--search", "unit=1:2"], "Did you mean 'units'?"),
        (["--minutes", "9", "--set", "minutes=2"], "sets 'minutes' by itself"),
        (["--minutes", "9", "--set", "seed=2"], "use --seed"),
        (["--minutes", "9", "--resume"], "--resume needs --out"),
        (["--minutes", "9", "--out", "."], "exists already"),
        (["--minutes", "9", "--pruner", "none", "--rungs", "2"], "has one rung"),
        (["--minutes", "9", "--trial-minutes", "5"], "leaves no room"),
        (["--minutes", "9", "--trial-minutes=1", "--trial-steps=1"], "two budgets"),
        (["--minutes", "9", "--recipe", "wrd"], "Did you mean 'word'?"),
        (["--minutes", "9", "--storage", "x://y"], "cannot be used"),
        (
            ["--minutes=9", "--search=optimizer=adam,sgd", "--set=beta_2=0.9"],
            "optimizer=sgd does not go with --set beta_2=0.9",
        ),
        (
            ["--minutes=9", "--search=mode=stream,sentence"],
            "--set protocol=sentence if",
        ),
    ],
)
def test_slips(
    english_file: Path, inside: Path, capsys: Captured, options: list[str], says: str
) -> None:
    (inside / "here").touch()
    words = ["tune", str(english_file), "--tokenizer", "char", *options]
    assert run(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "words", [["-"], ["a.txt", "--valid", "-"], ["a.txt", "--test", "-"]]
)
def test_standard_input_is_refused(
    inside: Path, capsys: Captured, words: list[str]
) -> None:
    assert run(["tune", *words, "--minutes", "9"]) == 2
    assert "again when it goes on" in capsys.readouterr().err


def sizes_of_begun(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in out.glob("trials/*/*.begun")}


@pytest.mark.slow
def test_killed_and_resumed_with_two_workers(
    english_file: Path, tmp_path: Path, run_fake: Fakes
) -> None:
    """Fake trainings: nothing is lost, and nothing is done twice."""
    signals = signal.SIGKILL, signal.SIGINT
    out = tmp_path / "out"
    words = command(english_file, "--trials", "6", "--trial-steps", "9")
    words += ["--workers", "2", "--out", str(out)]
    ended: dict[int, dict[str, Any]] = {}
    resume: list[str] = []
    for number in signals:
        before = sizes_of_begun(out)
        process = fake([*words, *resume], steps=50)
        while process.poll() is None:  # until both workers are at a trial
            now = sizes_of_begun(out)
            if len({p.parent for p, size in now.items() if size != before.get(p)}) >= 2:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        assert process.poll() is None, said_by(process)
        os.killpg(process.pid, number)
        said = said_by(process)[1]
        if number == signal.SIGINT:
            assert process.returncode == 130, said
            assert shlex.split(said.splitlines()[-1])[-1] == "--resume"
        resume = ["--resume"]
        found = records(out)
        for trial, record in ended.items():  # what has ended stays as it is
            assert found[trial] == record
        ended = {n: r for n, r in found.items() if r["state"] != "RUNNING"}
        assert any(r["state"] == "RUNNING" for r in found.values())
    code, _, said = run_fake([*words, "--resume"])
    assert code == 0, said
    found = records(out)
    assert sorted(found) == list(range(6)) and journal_trials(out) == 6
    able = ("COMPLETE", "PRUNED")
    assert not [r["user_attrs"] for r in found.values() if r["state"] not in able]
    for trial, record in ended.items():
        assert found[trial] == record
    points = {json.dumps(record["params"]) for record in found.values()}
    assert len(points) == 6
    for begun in out.glob("trials/*/*.begun"):
        # Once, and once more for each time that it was under way.
        assert len(begun.read_text().splitlines()) <= 1 + len(signals)
    rows = list(csv.DictReader((out / "trials.csv").read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == list(range(6))


@pytest.mark.slow
def test_without_its_parent_nothing_goes_on(english_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command(english_file, "--trials", "8", "--trial-steps", "9")
    process = fake([*words, "--out", str(out)], steps=2000)
    wait_for(out, "trials/*/rung0/checkpoint", process)
    process.kill()  # it alone: its children find out by themselves
    said_by(process)
    time.sleep(1.0)
    (checkpoint,) = out.glob("trials/*/rung0/checkpoint")
    reached = checkpoint.read_text()
    time.sleep(0.3)
    assert checkpoint.read_text() == reached


@pytest.fixture(scope="module")
def real(english_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "out"
    words = command(english_file, "--trials", "2", "--trial-steps", "30")
    process = start([*words, "--rungs", "2", "--out", str(out), "--json"])
    told, said = said_by(process)
    assert process.returncode == 0, said
    (out / "said.json").write_text(told)
    (out / "said.txt").write_text(said)
    return out


@pytest.mark.slow
def test_a_search(
    real: Path, english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    for name in WRITTEN:
        assert (real / name).stat().st_size > 50
    for name in PICTURES:
        assert is_picture(real / name)
    report = json.loads((real / "said.json").read_text("utf-8"))
    assert report == json.loads((real / "report.json").read_text("utf-8"))
    best, default = (report["finals"][name] for name in ("best", "default"))
    assert best["settings"]["max_steps"] == default["settings"]["max_steps"] == 30
    assert "test" not in report["data"] and not list(real.rglob("test-ids*"))
    for path in real.glob("final/*/report.json"):
        assert json.loads(path.read_text("utf-8"))["test"] is None
    said = (real / "said.txt").read_text()
    (line,) = (line for line in said.splitlines() if line.startswith("Now try: "))
    assert "--split 0.8,0.1,0.1" in line and "--tokenizer char" in line
    assert line.endswith("best.toml")
    settings = Settings.from_recipe(real / "best.toml")
    assert settings.to_dict() == best["settings"]

    # The recipe does what it says: the run of its own seed is that final run.
    words = ["train", str(english_file), "--tokenizer", "char"]
    words += ["--split", "0.8,0.1,0.1", "--recipe", str(real / "best.toml")]
    assert run([*words, "--out", str(tmp_path / "mine"), "--json"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told)["valid"]["loss"] == pytest.approx(best["loss"], rel=1e-6)


def test_what_is_not_said_again_is_as_it_was_begun(
    english_file: Path, tmp_path: Path, run_fake: Fakes
) -> None:
    """Fake trainings; rungs and seed are the folder's unless others are given."""
    out = ["--out", str(tmp_path / "out")]
    rungs = ["--rungs", "2", "--factor", "4"]
    for options in (
        ["--trials", "1", "--trial-steps", "8", "--seed", "5", *rungs],
        ["--trials", "2", "--resume"],
        ["--trials", "3", "--resume", "--rungs", "2"],
        ["--minutes", "60", "--trials", "4", "--resume", "--factor", "4"],
    ):
        code, _, said = run_fake([*command(english_file, *options), *out])
        assert code == 0, said
    assert sorted(records(tmp_path / "out")) == [0, 1, 2, 3]
    other = command(english_file, "--trials", "5", "--resume", "--trial-steps", "9")
    code, _, said = run_fake([*other, *out])
    assert code == 2
    assert "has settings max_steps=8; this command asks for 9" in said


@pytest.mark.slow
def test_searches_begin_with_what_suggest_proposes(
    english_file: Path, tmp_path: Path, run_fake: Fakes
) -> None:
    """Fake trainings; of two that begin at once each really measures the machine."""
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    words = ["tune", str(english_file), "--tokenizer", "char", "--split", "0.8,0.1,0.1"]
    words += ["--trials", "2", "--trial-minutes", "0.5", "--rungs", "2", "--json"]
    words += ["--storage", str(tmp_path / "journal")]
    words += ["--set", "layers=1", "--set", "clip_norm=0.5"]
    words += ["--set", "system_minutes=2"]  # more than a trial has
    both = [fake([*words, "--out", str(out)], steps=1) for out in (one, two)]
    reports, every = [], ""
    for process in both:
        told, said = said_by(process)
        assert process.returncode == 0, said
        assert "system_minutes=2 is left out" in said
        reports.append(json.loads(told))
        every += said
    assert "Measuring this machine" in every and "Trial 0: cell=lstm" in every
    # They find different things: the plan of the first to be ready is that of both.
    recipe = reports[0]["recipe"]
    for report in reports:
        finals = report["finals"]
        assert list(finals) == ["best", "default", "suggest"]
        for name in ("default", "suggest"):
            settings = finals[name]["settings"]
            assert (settings["minutes"], settings["clip_norm"]) == (0.5, 0.5)
            assert settings["system_minutes"] == 0
        assert report["recipe"] == finals["suggest"]["settings"] == recipe
        assert finals["default"]["settings"]["units"] == 256

    # Gone on with, with more time, or joined from another folder: not measured again.
    for folder, more in (
        (one, ["--resume", "--minutes", "60"]),
        (two, ["--resume"]),
        (three, []),
    ):
        code, told, said = run_fake([*words, "--out", str(folder), *more])
        assert code == 0, said
        assert "Measuring" not in said
        report = json.loads(told)
        assert report["recipe"] == report["finals"]["suggest"]["settings"] == recipe
    first = report["trials"][0]
    assert first["point"]["units"] == recipe["units"]
    assert "1" in first["rungs"]  # on the last rung, whatever became of the other

    again = [*words, "--out", str(one), "--resume", "--set", "clip_norm=1.0"]
    code, _, said = run_fake(again)
    assert code == 2
    assert "settings clip_norm=0.5; this command asks for 1.0" in said


@pytest.mark.slow
def test_stopped_and_resumed(english_file: Path, tmp_path: Path) -> None:
    """Real trainings, stopped in their middle: the same trials come of it."""
    out = tmp_path / "out"
    # So many steps that the log, which is waited for, begins in their middle.
    words = command(english_file, "--trials", "3", "--trial-steps", "1800")
    words += ["--rungs", "1", "--out", str(out), "--sampler", "random"]
    before: dict[int, dict[str, Any]] = {}
    resume: list[str] = []
    # The second trial is under way when the first signal comes, the third at the other.
    for trial, number, workers in ((1, signal.SIGINT, "2"), (2, signal.SIGKILL, "1")):
        process = start([*words, "--workers", workers, *resume])
        wait_for(out, f"trials/{trial:04}/rung0/training.jsonl", process)
        os.killpg(process.pid, number)
        said = said_by(process)[1]
        if number == signal.SIGINT:
            assert process.returncode == 130, said
            assert "All that is finished is in" in said
        found = records(out)
        check_kept(before, found)
        before = found
        assert before[trial]["state"] == "RUNNING"
        resume = ["--resume"]
    process = start([*words, "--resume"])
    said = said_by(process)[1]
    assert process.returncode == 0, said
    found = records(out)
    assert sorted(found) == [0, 1, 2] and journal_trials(out) == 3
    check_kept(before, found)
    assert {record["state"] for record in found.values()} <= {"COMPLETE", "PRUNED"}


def check_kept(
    before: dict[int, dict[str, Any]], after: dict[int, dict[str, Any]]
) -> None:
    """What had ended is as it was, and what was begun has its settings and figures."""
    for trial, record in before.items():
        if record["state"] != "RUNNING":
            assert after[trial] == record
        assert after[trial]["params"] == record["params"] or not record["params"]
        for rung, loss in record["rungs"].items():
            assert after[trial]["rungs"][rung] == loss


@pytest.mark.slow
def test_a_storage_that_goes_away(
    english_file: Path, tmp_path: Path, run_fake: Fakes
) -> None:
    """Fake trainings; what is finished is not done again."""
    out = tmp_path / "out"
    words = command(english_file, "--trials", "9", "--trial-steps", "9")
    words += ["--rungs", "1", "--out", str(out)]
    process = fake(words, steps=50)
    wait_for(out, "trials/0001/rung0/checkpoint", process)
    (out / "journal.jsonl").unlink()
    said = said_by(process)[1]
    assert process.returncode == 2
    (line,) = (line for line in said.splitlines() if "error" in line)
    assert "journal.jsonl' is gone" in line and "--resume" in line
    assert "Traceback" not in said
    first = records(out)[0]
    assert first["state"] == "COMPLETE"
    words[words.index("9")] = "2"
    code, _, said = run_fake([*words, "--resume"])
    assert code == 0, said
    assert records(out)[0] == first
    assert sorted(records(out)) == [0, 1]


@pytest.fixture
def postgres() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A database server of its own, on a free port."""
    pytest.importorskip("psycopg", reason="needs psycopg[binary]")
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip("needs PostgreSQL's initdb and postgres on the path")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not below tmp_path, which is closed to others: it refuses to run as root.
    data = Path(tempfile.mkdtemp(prefix="rnnlm-postgres-"))
    made: Any = {"user": "nobody"} if os.geteuid() == 0 else {}
    if made:
        shutil.chown(data, "nobody")
    options = ["-D", str(data), "-U", "me", "-A", "trust", "-E", "UTF8", "--no-locale"]
    done = subprocess.run(
        [initdb, *options, "-N"], capture_output=True, text=True, check=False, **made
    )
    if done.returncode:
        shutil.rmtree(data)
        pytest.skip(f"initdb cannot run here: {done.stderr.strip()[-200:]}")
    line = [server, "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    line += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, **made)
    import psycopg

    for _ in range(300):
        try:
            psycopg.connect(f"postgresql://me@127.0.0.1:{port}/postgres").close()
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    else:
        pytest.fail("the database server did not answer in half a minute")
    yield f"postgresql+psycopg://me@127.0.0.1:{port}/postgres", process
    process.kill()
    process.wait()
    shutil.rmtree(data, ignore_errors=True)


@pytest.mark.slow
def test_two_folders_share_a_database_that_goes_away(
    postgres: tuple[str, subprocess.Popen[bytes]], english_file: Path, tmp_path: Path
) -> None:
    url, server = postgres
    words = command(english_file, "--trial-steps", "9", "--storage", url)
    searches = [
        fake([*words, "--trials", "4", "--out", str(tmp_path / name)])
        for name in ("one", "two")
    ]
    for search in searches:
        said = said_by(search)[1]
        assert search.returncode == 0, said
    numbers = [set(records(tmp_path / name)) for name in ("one", "two")]
    assert not numbers[0] & numbers[1]
    assert set(range(4)) <= numbers[0] | numbers[1] <= set(range(5))

    search = fake(
        [*words, "--trials", "99", "--out", str(tmp_path / "one"), "--resume"]
    )
    wait_for(tmp_path / "one", "trials/000[6-9]/rung0/checkpoint", search)
    server.kill()
    said = said_by(search)[1]
    assert search.returncode == 2, said
    (line,) = (line for line in said.splitlines() if "error" in line)
    assert "cannot be used" in line and "go on with --resume" in line
    assert "Traceback" not in said
