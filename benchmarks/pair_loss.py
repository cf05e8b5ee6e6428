"""What the weighted contrastive loss costs, beside pytorch-metric-learning's.

Prints two tables:

1. forward and backward of one batch, alternating in one process, medians;
2. peak memory above the start, each in a process of its own, and the largest
   batch in chunks.

Needs ``pip install pytorch-metric-learning``.
"""

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

from semamb_mm.functional import caa_scores, weighted_contrastive_loss

from .timing import benchmark_parser, in_turn, resident

OURS = "OSM + CAA"
OSM = "OSM, without class-aware attention"
THEIRS = "ContrastiveLoss (pytorch-metric-learning)"


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=21)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--chunk-size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(name, chunk_size=None):
    """A function of embeddings, labels and context that gives a loss."""
    if name == OURS:

        def ours(embeddings, labels, context):
            attention = caa_scores(embeddings.detach(), context, labels)
            return weighted_contrastive_loss(
                embeddings, labels, attention, chunk_size=chunk_size
            )

        return ours
    if name == OSM:
        return lambda embeddings, labels, context: weighted_contrastive_loss(
            embeddings, labels, chunk_size=chunk_size
        )
    from pytorch_metric_learning.losses import ContrastiveLoss

    loss = ContrastiveLoss(pos_margin=0, neg_margin=1.2)
    return lambda embeddings, labels, context: loss(embeddings, labels)


def batch(count, channels):
    """``count`` embeddings, four of a class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) // 4
    embeddings = torch.randn(count, channels, generator=generator)
    context = torch.randn(int(labels.max()) + 1, channels, generator=generator)
    return embeddings, labels, context


def step(function, embeddings, labels, context):
    """Run forward and backward once."""
    embeddings = embeddings.clone().requires_grad_()
    function(embeddings, labels, context).backward()


def time_table(args):
    """Print the first table."""
    data = batch(args.batch_size, args.channels)
    names = (OURS, OSM, THEIRS)
    calls = {name: partial(step, make(name), *data) for name in names}
    times = in_turn(calls, args.repeats, warm_up=2)
    print(f"1. Forward and backward, m = {args.batch_size}, D = {args.channels}")
    for name in names:
        print(f"{name:<46}{np.median(times[name]):>10.1f} ms")
    for name in (OURS, OSM):
        ratios = np.array(times[name]) / np.array(times[THEIRS])
        print(
            f"{'ratio, ' + name:<46}{np.median(ratios):>10.2f}    "
            f"({ratios.min():.2f} to {ratios.max():.2f})"
        )
    print(flush=True)


def memory(args):
    """Peak of this process above its start, in MiB; prints it. Linux only."""
    data = batch(args.batch_size, args.channels)
    function = make(args.memory_of, args.chunk_size)
    step(function, *batch(64, args.channels))
    # Forget the peak there was so far (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step(function, *data)
    print(resident("VmHWM") - before)


def memory_table(args):
    """Print the second table."""
    print("2. Peak memory of one step above the start, D = 512")
    for name, count, chunk in (
        (THEIRS, 8192, None),
        (OURS, 8192, None),
        (OURS, 8192, 512),
        (OURS, 32768, 512),
    ):
        command = [sys.executable, "-m", "benchmarks.pair_loss", "--memory-of", name]
        command += ["--channels", "512"]
        command += ["--batch-size", str(count), "--threads", str(args.threads)]
        command += ["--chunk-size", str(chunk)] if chunk else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        peak = (
            f"{float(done.stdout):>8.0f} MiB"
            if done.returncode == 0
            else f"failed, exit code {done.returncode}"
        )
        title = f"{name}, m = {count}" + (f", chunks of {chunk}" if chunk else "")
        print(f"{title:<64}{peak}", flush=True)


def main():
    """Print the tables, or one figure of the second."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        memory(args)
        return
    print(f"torch {torch.__version__}, {args.threads} threads, cpu\n")
    time_table(args)
    memory_table(args)


if __name__ == "__main__":
    main()
