"""What the benchmarks share: arguments, clocks, the size of the hourglass."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

# Of the paper's hourglass: 256 px in, a quarter of it out.
SIZES = dict(input_size=(256, 256), heatmap_size=(64, 64))


def benchmark_parser(doc: str, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks.

    Args:
        doc: What ``--help`` says.
        repeats: Default of ``--repeats``.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats)
    return parser


def hourglass_codec(sigma: float) -> dict:
    """Return the config of a codec for 64 x 64 heatmaps."""
    return dict(SIZES, type="MSRAHeatmap", sigma=sigma, unbiased=True)


def milliseconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Return the wall-clock time of one call."""
    synchronize = torch.cuda.synchronize if device != "cpu" else lambda: None
    synchronize()
    start = time.perf_counter()
    call()
    synchronize()
    return 1e3 * (time.perf_counter() - start)


def cpu_milliseconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Return the processor time of one call, of all threads: on a machine in use."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def in_turn(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    device: str = "cpu",
    clock: Callable[..., float] = milliseconds,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Time calls by turns, so that all meet the same load of the machine.

    Args:
        calls: Name to call.
        repeats: How often each.
        device: Where they run.
        clock: What times one call on a device.
        warm_up: Rounds before that do not count.

    Returns:
        Name to times; the n-th time of each is of the same round. Every second round
        goes backwards.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(-warm_up, repeats):
        for name in sorted(calls, reverse=bool(repeat % 2)):
            taken = clock(calls[name], device)
            if repeat >= 0:
                times[name].append(taken)
    return times


def resident(name: str) -> float:
    """Return a memory figure of this process, in MiB. Linux only.

    Args:
        name: As in proc(5): ``VmRSS``, now, or ``VmHWM``, the peak.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")


def forget_peak() -> None:
    """Let :func:`resident`'s ``VmHWM`` begin anew (proc(5), clear_refs). Linux only."""
    Path("/proc/self/clear_refs").write_text("5")


def cost(call: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of the processor and the peak of memory above now in MiB.

    Linux only.
    """
    forget_peak()
    before, start = resident("VmRSS"), resource.getrusage(resource.RUSAGE_SELF)
    call()
    end = resource.getrusage(resource.RUSAGE_SELF)
    seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    return seconds, resident("VmHWM") - before


def table_of_costs(
    module: str,
    measure: Callable[[str], tuple[float, float]],
    doc: str,
    title: str,
    sizes: Sequence[str],
    argv: Sequence[str] | None = None,
) -> None:
    """Run a benchmark that prints :func:`cost` for each of some sizes.

    Each size runs in a process of its own.

    Args:
        module: The benchmark's, as ``python -m`` takes it.
        measure: Returns the cost of one size.
        doc: What ``--help`` says.
        title: Of the column of sizes.
        sizes: Default of ``--sizes``.
        argv: The command line, if not the process's own.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=sizes)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.of:
        print(*measure(args.of))
        return
    print(f"{title:<24}{'CPU seconds':>12}{'MiB':>8}")
    for size in args.sizes:
        command = [sys.executable, "-m", module, "--of", size]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, memory = map(float, done.stdout.split())
        print(f"{size:<24}{seconds:>12.1f}{memory:>8.0f}", flush=True)
