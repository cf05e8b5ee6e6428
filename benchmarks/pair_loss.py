"""What the weighted contrastive loss costs, beside pytorch-metric-learning's.

Prints, for each size of a batch and each number of threads, the CPU time of forward
and backward, of all threads together: medians (least to largest). The losses take
turns in one process. Four states of a training, four images of a class:

- random: uniform on the sphere, all 1.41 apart, beyond the margin;
- early: all near each other, all negatives within the margin;
- between: groups of classes, some per cent of the negatives within the margin;
- trained: tight classes that are far from each other.

Then the peak memory above the start, each in a process of its own.

Needs ``pip install pytorch-metric-learning``.
"""

import argparse
import subprocess
import sys
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from semamb_mm.functional import caa_scores, weighted_contrastive_loss

from .timing import benchmark_parser, cost, cpu_milliseconds, in_turn

MARGIN = 1.2
OURS = "OSM + CAA"
OSM = "OSM, no attention"
THEIRS = "ContrastiveLoss"
EAGER = "OSM + CAA by autograd"
STATES = ("random", "early", "between", "trained")


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=21)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--states", nargs="+", choices=STATES, default=STATES)
    parser.add_argument(
        "--large-repeats", type=int, default=3, help="for batches above 4,096"
    )
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--chunk-size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def by_autograd(embeddings, labels, context):
    """The same loss as it is written down, left to autograd."""
    features = F.normalize(embeddings)
    scores = features.detach() @ context.t()
    attention = scores.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    squared = (2 - 2 * features @ features.t()).clamp(min=1e-12)
    distances = squared.sqrt()
    slack = (MARGIN - distances).clamp(min=0)
    same = labels[:, None] == labels
    lower = torch.minimum(attention[:, None], attention)
    near = (torch.exp(-squared.detach() / 0.8**2) * lower * same).fill_diagonal_(0)
    far = slack.detach() * lower * ~same
    near_loss = 0.5 * (near * squared).sum() / near.sum().clamp(min=1e-12)
    far_loss = 0.5 * (far * slack.square()).sum() / far.sum().clamp(min=1e-12)
    return 0.5 * near_loss + 0.5 * far_loss


def make(name, chunk_size=None):
    """A function of embeddings, labels and context that gives a loss."""
    if name == OURS:

        def ours(embeddings, labels, context):
            attention = caa_scores(embeddings.detach(), context, labels)
            return weighted_contrastive_loss(
                embeddings, labels, attention, margin=MARGIN, chunk_size=chunk_size
            )

        return ours
    if name == OSM:
        return lambda embeddings, labels, context: weighted_contrastive_loss(
            embeddings, labels, margin=MARGIN, chunk_size=chunk_size
        )
    if name == EAGER:
        return by_autograd
    from pytorch_metric_learning.losses import ContrastiveLoss

    loss = ContrastiveLoss(pos_margin=0, neg_margin=MARGIN)
    return lambda embeddings, labels, context: loss(embeddings, labels)


def batch(count, channels, state="random"):
    """``count`` embeddings in a state of training, four of a class, and a context."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) // 4
    classes = int(labels.max()) + 1

    def directions(number):
        return F.normalize(torch.randn(number, channels, generator=generator))

    embeddings = directions(count)
    if state == "early":
        embeddings = directions(1) + 0.5 * embeddings
    elif state == "between":
        group = torch.randint(20, (classes,), generator=generator)
        embeddings = directions(20)[group][labels] + 0.6 * embeddings
    elif state == "trained":
        embeddings = directions(classes)[labels] + 0.3 * embeddings
    return embeddings, labels, directions(classes)


def share_within_margin(embeddings, labels):
    """The share of the first 1,024 embeddings' negatives that are within the margin."""
    features, labels = F.normalize(embeddings[:1024]), labels[:1024]
    other = labels[:, None] != labels
    return ((torch.cdist(features, features) < MARGIN) & other).sum() / other.sum()


def step(function, embeddings, labels, context):
    """Run forward and backward once."""
    embeddings = embeddings.clone().requires_grad_()
    function(embeddings, labels, context).backward()


def spread(values, digits):
    """A median and the range, as text."""
    median, least, most = (
        f"{f(values):.{digits}f}" for f in (np.median, np.min, np.max)
    )
    return f"{median} ({least}-{most})"


def time_table(args, count, threads):
    """Print a table of times."""
    torch.set_num_threads(threads)
    repeats = args.large_repeats if count > 4096 else args.repeats
    names = (OURS, OSM, THEIRS, EAGER)
    print(f"m = {count}, D = {args.channels}, {threads} threads, {repeats} rounds; ms")
    print(f"{'':<18}" + "".join(f"{name:>24}" for name in names) + f"{'ratio':>20}")
    for state in args.states:
        data = batch(count, args.channels, state)
        calls = {name: partial(step, make(name), *data) for name in names}
        times = in_turn(calls, repeats, clock=cpu_milliseconds)
        ratios = np.divide(times[OURS], times[THEIRS])
        share = share_within_margin(*data[:2])
        row = f"{state} ({share:.0%})"
        row = f"{row:<18}" + "".join(f"{spread(times[name], 1):>24}" for name in names)
        print(row + f"{spread(ratios, 2):>20}", flush=True)
    print()


def memory(args):
    """Print the peak of this process above its start, in MiB. Linux only."""
    data = batch(args.batch_sizes[0], args.channels, args.states[0])
    function = make(args.memory_of, args.chunk_size)
    step(function, *batch(64, args.channels))
    print(cost(lambda: step(function, *data))[1])


def memory_table(args):
    """Print the peak memory of one step."""
    print("Peak memory of one step above the start, D = 512")
    for name, count, chunk, state in (
        (THEIRS, 8192, None, "early"),
        (OURS, 8192, None, "early"),
        (OURS, 8192, None, "between"),
        (OURS, 8192, None, "trained"),
        (OURS, 32768, None, "random"),
    ):
        command = [sys.executable, "-m", "benchmarks.pair_loss", "--memory-of", name]
        command += ["--channels", "512", "--states", state, "--threads", "1"]
        command += ["--batch-sizes", str(count)]
        command += ["--chunk-size", str(chunk)] if chunk else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        peak = (
            f"{float(done.stdout):>8.0f} MiB"
            if done.returncode == 0
            else f"failed, exit code {done.returncode}"
        )
        title = f"{name}, m = {count}, {state}"
        print(f"{title:<64}{peak}", flush=True)


def main():
    """Print the tables, or one figure of the last."""
    args = parse_args()
    if args.memory_of:
        torch.set_num_threads(args.threads[0])
        memory(args)
        return
    print(f"torch {torch.__version__}, ratio: {OURS} / {THEIRS}\n")
    print("In brackets behind a state: negatives within the margin\n")
    for count in args.batch_sizes:
        for threads in args.threads:
            time_table(args, count, threads)
    memory_table(args)


if __name__ == "__main__":
    main()
