"""What runs on this GPU, and how fast: one table. ``make gpu-check``.

Without a GPU it says so and ends with exit code 0. Otherwise it prints

- whether both demos run to their end (--no-demos leaves them out);
- a training iteration of the 4-stack hourglass at 256 px, batch 32: stock MMPose, with
  SemanticAlignmentHead, and with the search, in float32, bfloat16 and float16;
- how often the host waits for the GPU in the search;
- the pair loss beside pytorch-metric-learning's ContrastiveLoss, and compiled;
- whether two processes on two GPUs train, if there are two.

Times are medians of --repeats rounds in turn. What fails is named in its row, and the
exit code is then 1.
"""

import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import nullcontext
from functools import partial
from statistics import median

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import semamb_mm
from semamb_mm.shipped import shipped_folder

from . import pair_loss
from .host_syncs import ROOT, HostSyncs
from .search_speed import make_batch, training_step
from .timing import benchmark_parser, in_turn

CONFIG = "semantic_alignment/hourglass4_sa_300w-256x256.py"
SMALL_CONFIG = "semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
STOCK = "CPMHead"
DEMOS = ("tools/demo.sh", "tools/demo_retrieval.sh")
WRONG = "WRONG"
PRECISIONS = dict(float32=None, bfloat16=torch.bfloat16, float16=torch.float16)


def parse_args(arguments=None):
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=20)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--pairs", type=int, nargs="+", default=[1024, 8192, 32768], help="batch sizes"
    )
    parser.add_argument("--no-demos", action="store_true")
    return parser.parse_args(arguments)


def hourglass_case():
    """Return the paper's detector, as search_speed describes detectors."""
    config = Config.fromfile(semamb_mm.config(CONFIG))
    codec = config.codec
    head = dict(config.model.head)
    for key in ("type", "out_channels", "decoder", "loss"):
        head.pop(key, None)
    return dict(
        stock=STOCK,
        landmarks=68,
        input_size=codec.input_size,
        heatmap_size=codec.heatmap_size,
        sigma=codec.sigma,
        backbone=config.model.backbone,
        head=head,
    )


def in_precision(step, device, dtype):
    """Return a step under autocast; in float32 the step itself."""

    def cast():
        context = nullcontext()
        if dtype is not None:
            context = torch.autocast(torch.device(device).type, dtype)
        with context:
            return step()

    return cast


def check_iterations(args, case):
    """Yield a row for each precision: milliseconds, and ratios to stock MMPose."""
    batch = make_batch(case, args.batch_size, args.device)
    steps = {
        "stock": training_step(case, STOCK, batch, False, args.device),
        "head": training_step(case, "SemanticAlignmentHead", batch, False, args.device),
        "search": training_step(
            case, "SemanticAlignmentHead", batch, True, args.device
        ),
    }
    for name, dtype in PRECISIONS.items():
        calls = {key: in_precision(s, args.device, dtype) for key, s in steps.items()}
        try:
            calls["stock"]()
        except TypeError:  # its accuracy takes heatmaps to numpy, without bfloat16
            del calls["stock"]
        warm_up = min(3, args.repeats)
        times = in_turn(calls, args.repeats, args.device, warm_up=warm_up)
        taken = {key: median(values) for key, values in times.items()}
        base = next(iter(calls))
        figures = [
            f"{key} {value:.1f} ms, {1e3 * args.batch_size / value:.0f} images/s, "
            f"{value / taken[base]:.3f} of {base}"
            for key, value in taken.items()
        ]
        share = (taken["search"] - taken["head"]) / taken["head"]
        figures.append(f"the search adds {share:.2%}")
        if "stock" not in calls:
            figures.append("stock fails")
        if not all(bool(torch.isfinite(call())) for call in calls.values()):
            figures.append(f"{WRONG}: a loss is not finite")
        yield f"iteration, {name}, batch {args.batch_size}", "; ".join(figures)
    for name, step in steps.items():
        yield (
            f"waits for the device, {name}",
            f"{waits(step, args.device)} an iteration",
        )


def waits(step, device):
    """Return how often the host waits for the device in a step."""
    if torch.device(device).type != "cuda":
        with HostSyncs() as syncs:
            step()
        return syncs.found.total()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return sum("synchroniz" in str(warning.message) for warning in caught)


def check_pairs(args):
    """Yield a row for each size: our pair loss beside the other library's."""
    for count in args.pairs:
        cells = []
        for state in ("random", "trained"):
            data = [t.to(args.device) for t in pair_loss.batch(count, 512, state)]
            calls = {
                name: partial(pair_loss.step, pair_loss.make(name), *data)
                for name in (pair_loss.OURS, pair_loss.THEIRS)
            }
            try:
                times = in_turn(calls, args.repeats, args.device)
            except torch.OutOfMemoryError:
                del calls[pair_loss.THEIRS]
                times = in_turn(calls, args.repeats, args.device)
            shown = ", ".join(f"{name} {median(t):.2f} ms" for name, t in times.items())
            cells.append(f"{state}: {shown}")
            syncs = waits(calls[pair_loss.OURS], args.device)
        yield f"pair loss, m = {count}", f"{'; '.join(cells)}; {syncs} waits"


def check_compiled(args):
    """Yield a row on torch.compile: of the pair loss, in one graph."""
    embeddings, labels, context = (
        t.to(args.device) for t in pair_loss.batch(args.pairs[0], 512)
    )
    loss = pair_loss.make(pair_loss.OURS)
    compiled = torch.compile(loss, fullgraph=True)
    values = [function(embeddings, labels, context) for function in (loss, compiled)]
    same = torch.allclose(*values, rtol=1e-4)
    yield "torch.compile, pair loss", "same loss" if same else f"{WRONG}: another loss"


def check_demos():
    """Yield a row for each demo: that it ran to its end, and how long it took."""
    for script in DEMOS:
        with tempfile.TemporaryDirectory() as folder:
            start = time.time()
            run(["bash", script], OUT=folder, PYTHON_BIN=sys.executable)
            yield script, f"ran to its end in {time.time() - start:.0f} s"


def check_two_gpus():
    """Yield a row on a training by two processes."""
    if torch.cuda.device_count() < 2:
        yield "2 GPUs", "not here"
        return
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc_per_node", "2", shipped_folder("tools") / "train.py"),
                *(semamb_mm.config(SMALL_CONFIG), "--launcher", "pytorch"),
                *("--work-dir", folder, "--cfg-options", "train_cfg.max_epochs=3"),
                *("custom_hooks.1.start=1", "train_dataloader.dataset.num_samples=200"),
            ]
        )
        yield "2 GPUs", f"3 epochs with search in {time.time() - start:.0f} s"


def run(command, **environment):
    """Run a command of the checkout; raise with its last lines if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=dict(os.environ, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-500:])


def main(arguments=None):
    """Print the table and return the exit code."""
    args = parse_args(arguments)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print(
            f"No GPU: torch {torch.__version__} sees none, and nothing was checked. "
            "'make doctor' says why; the tests count without one what would make the "
            "host wait for it."
        )
        return 0
    init_default_scope("mmpose")
    name = args.device
    if args.device.startswith("cuda"):
        name = torch.cuda.get_device_name(args.device)
    print(f"| {name}, torch {torch.__version__} | |\n|---|---|", flush=True)
    checks = [
        ("iterations", lambda: check_iterations(args, hourglass_case())),
        ("pair loss", lambda: check_pairs(args)),
        ("torch.compile", lambda: check_compiled(args)),
        ("2 GPUs", check_two_gpus),
    ]
    if not args.no_demos:
        checks.insert(0, ("demos", check_demos))
    failed = False
    for title, check in checks:
        try:
            for what, figure in check():
                print(f"| {what} | {figure} |", flush=True)
                failed |= WRONG in figure
        except Exception as error:  # the other rows are wanted, too
            failed = True
            traceback.print_exc()
            text = " ".join(str(error).split())
            print(f"| {title} | FAILED: {type(error).__name__}: {text} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
