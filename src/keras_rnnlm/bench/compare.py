"""The comparison: contestants take turns, A B C A B C; the median of each counts."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keras_rnnlm.bench.limits import Limits, find_ceilings
from keras_rnnlm.bench.peers import Peer
from keras_rnnlm.bench.process import ContestantFailed, Process
from keras_rnnlm.bench.versions import versions
from keras_rnnlm.bench.workloads import Workload
from keras_rnnlm.machine import machine

FORMAT = 1
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        workloads: The models.
        tasks: Any of `training`, `scoring`, `generation`.
        peers: The contestants.
        rounds: How often each takes its turn.
        seconds: How long a turn is, about.
        ceiling_seconds: How long to multiply matrices of one shape.
        allocator: `kept`: all contestants keep freed memory, as the command `rnnlm`
            does, whoever's layers they use; `own`: each as its users find it, so that
            ours do and the others have the C library's defaults; `plain`: nobody does.
        command: What was typed, for the record.
    """

    workloads: Sequence[Workload]
    tasks: Sequence[str]
    peers: Sequence[Peer]
    rounds: int
    seconds: float
    ceiling_seconds: float
    command: str
    allocator: str = "kept"


def benchmark(plan: Plan, tell: Tell) -> dict[str, Any]:
    """Measure this machine's ceilings, then everybody at everything.

    Args:
        plan: What to measure.
        tell: Called with a line for people now and then.

    Returns:
        A record ready for JSON: `kind`, `format`, `date` (UTC), `command`, `machine`,
        `versions`, `rounds`, `seconds`, `allocator`, `ceiling` (see `ceilings`),
        `bandwidth`, and the lists `results`, `missing` (not installed) and `failed`. A
        row of `results` has `tokens_per_second` with `median`, `min`, `max` and `runs`,
        `ceiling` and `fraction`, its part of it: of the matrix products of its type for
        training and scoring, of the bandwidth that its weights need for generation. The
        ceiling of a row takes its turns with the contestants, since a machine that is
        shared is not equally fast at all times.
    """
    installed, missing = [], []
    for peer in plan.peers:
        reason = peer.missing()
        if reason is None:
            installed.append(peer)
        else:
            missing.append({"peer": peer.name, "reason": reason})
            tell(f"left out: {peer.name}: {reason}")
    record: dict[str, Any] = {
        "kind": "comparison",
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "machine": machine(),
        "versions": versions(),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "allocator": plan.allocator,
        **find_ceilings(_sizes(plan), plan.ceiling_seconds, tell),
        "results": [],
        "missing": missing,
        "failed": [],
    }
    for workload in plan.workloads:
        for task in plan.tasks:
            if task in workload.tasks:
                able = [peer for peer in installed if task in peer.tasks]
                _take_turns(plan, workload, task, able, record, tell)
    return record


def _sizes(plan: Plan) -> list[int]:
    """Bytes of weights that the contestants in generation have to read."""
    sizes = {
        workload.weight_bytes(peer.dtype)
        for workload in plan.workloads
        for peer in plan.peers
        if "generation" in {*workload.tasks} & {*plan.tasks} & {*peer.tasks}
    }
    return sorted(sizes)


def _take_turns(
    plan: Plan,
    workload: Workload,
    task: str,
    peers: Sequence[Peer],
    record: dict[str, Any],
    tell: Tell,
) -> None:
    """Measure one task on one model and add to the record."""
    tell(f"{task}, {workload.name}, {workload.cell}: {len(peers)} contestants")
    place = {"task": task, "workload": workload.name, "cell": workload.cell}
    runs: dict[str, list[float]] = {peer.name: [] for peer in peers}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}

        def failed(peer: Peer, error: ContestantFailed) -> None:
            processes.pop(peer.name).close()
            record["failed"].append({**place, "peer": peer.name, "reason": str(error)})
            tell(f"failed: {peer.name}: {error}")

        # One after another: a contestant tries settings while it makes itself ready.
        for peer in peers:
            specification = {
                "task": task,
                "allocator": _allocator(plan, peer),
                "family": peer.family,
                "dtype": peer.dtype,
                "workload": workload.to_dict(),
            }
            process = stack.enter_context(Process(specification, peer.backend))
            processes[peer.name] = process
            try:
                process.wait()
            except ContestantFailed as error:
                failed(peer, error)
        limits = Limits(record, stack, plan.ceiling_seconds)
        for _ in range(plan.rounds):
            for peer in peers:
                if peer.name not in processes:
                    continue
                process = processes[peer.name]
                try:
                    done = process.ask({"seconds": plan.seconds})
                except ContestantFailed as error:
                    failed(peer, error)
                    continue
                process.facts |= done
                runs[peer.name].append(done["tokens"] / done["seconds"])
            limits.take_turn(
                {_limit(workload, task, p) for p in peers if p.name in processes}
            )
        for peer in peers:
            if peer.name in processes:
                rate = limits.rate(_limit(workload, task, peer))
                row = _row(rate, workload, task, peer, runs[peer.name])
                facts = processes[peer.name].facts
                for key in ("parameters", "how", "loops", "kernels", "settings"):
                    row[key] = facts.get(key)
                row["first_seconds"] = facts["first_seconds"]
                record["results"].append(row)
                tell(
                    f"  {peer.name}: {row['tokens_per_second']['median']:,.0f} tokens/s"
                )


def _allocator(plan: Plan, peer: Peer) -> str:
    """Return `kept` or `plain`: what a contestant does with freed memory."""
    if plan.allocator != "own":
        return plan.allocator
    return "kept" if peer.family == "ours" else "plain"


def _limit(workload: Workload, task: str, peer: Peer) -> str | int:
    """Return what limits a contestant: products of a type, or reading some bytes."""
    if task == "generation":
        return workload.weight_bytes(peer.dtype)
    return peer.dtype


def _row(
    ceiling: float,
    workload: Workload,
    task: str,
    peer: Peer,
    runs: Sequence[float],
) -> dict[str, Any]:
    """Return what was measured of one contestant, with its fraction of the ceiling."""
    median = statistics.median(runs)
    generating = task == "generation"
    needed = workload.weight_bytes(peer.dtype) if generating else workload.flops(task)
    return {
        "task": task,
        "workload": workload.name,
        "cell": workload.cell,
        "units": workload.units,
        "layers": workload.layers,
        "vocabulary": workload.vocabulary,
        "batch": 1 if task == "generation" else workload.batch,
        "steps": workload.steps,
        "peer": peer.name,
        "family": peer.family,
        "dtype": peer.dtype,
        "tokens_per_second": {
            "median": median,
            "min": min(runs),
            "max": max(runs),
            "runs": list(runs),
        },
        "work_per_token": needed,
        "ceiling": ceiling,
        "fraction": median * needed / ceiling,
    }
