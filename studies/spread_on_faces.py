"""What the views' spread does to targets of procedural faces, whose truth is known.

Trains the small hourglass on the annotations alone, lets LatentTargetHook search as it
does in training, and prints the RMS error of the weak landmarks, in percent of the
inter-ocular distance, of

- the annotations, without noise, with realistic and with heavy noise;
- the mean of what the searches found;
- consensus without the spread over views;
- consensus with it, for several network_share.
"""

import argparse
import tempfile

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor

from semamb_mm.faces.landmarks import GROUPS_68
from semamb_mm.faces.sizes import face_unit
from semamb_mm.functional import consensus_targets
from semamb_mm.pose.hooks import LatentTargetHook
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.store import LatentTargetStore

from .engine import ROOT

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
SHARES = (0.0, 0.5, 1.0, 2.0)


class _NoTargets(TargetMaker):
    """Leaves every target at its annotation."""

    def apply(self, store: LatentTargetStore, momentum: float = 0.1) -> None:
        """Do nothing."""


@HOOKS.register_module(force=True)
class SearchOnlyHook(LatentTargetHook):
    """Searches, and trains on the annotations."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.maker = _NoTargets(self.consensus)


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--noise", nargs="+", default=["realistic", "heavy", "none"], help="presets"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--num-faces", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--start", type=int, default=4, help="first epoch to search")
    return parser.parse_args(argv)


def train(noise: str, seed: int, args, folder: str) -> tuple[LatentTargetStore, Tensor]:
    """Return the store after training, and the true landmarks ``(N, K, 2)``."""
    config = Config.fromfile(CONFIG)
    config.work_dir, config.randomness = folder, dict(seed=seed)
    loader = config.train_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.dataset.update(num_samples=args.num_faces, noise=noise, seed=100 * seed)
    for name in ("val", "test"):
        for part in ("dataloader", "evaluator", "cfg"):
            config[f"{name}_{part}"] = None
    config.train_cfg = dict(by_epoch=True, max_epochs=args.epochs)
    config.param_scheduler[1].end = args.epochs
    config.default_hooks.checkpoint = dict(type="CheckpointHook", save_last=False)
    config.custom_hooks[-1].update(type="SearchOnlyHook", start=args.start)
    config.visualizer.vis_backends = []
    config.log_level = "ERROR"
    runner = Runner.from_cfg(config)
    runner.train()
    dataset = runner.train_dataloader.dataset
    truth = np.stack([dataset.true_keypoints(i) for i in range(len(dataset))])
    (hook,) = (h for h in runner.hooks if isinstance(h, SearchOnlyHook))
    return hook.store, torch.from_numpy(truth)


def errors(store: LatentTargetStore, truth: Tensor, hook: dict) -> dict[str, float]:
    """Return what to the RMS error of weak landmarks, in percent."""
    rows = torch.arange(len(store))
    size = store.face_sizes(rows)[:, None, None]
    unit = torch.from_numpy(face_unit(truth.numpy()))
    annotations, found = store.annotations.double(), store.found.double()
    options = dict(hook.consensus, counts=store.views(hook.momentum))
    spread = dict(
        spread=store.spread.double() / size**2, scatter=store.scatter.covariance()
    )
    points = {"annotations": annotations, "found": found}
    ways = {"no spread": {}}
    ways.update({f"share {s:g}": dict(spread, network_share=s) for s in SHARES})
    for name, way in ways.items():
        made = consensus_targets(annotations / size, found / size, **options | way)
        points[name] = made * size
    weak = list(GROUPS_68["weak"])
    return {
        name: float((100 * (p - truth).norm(dim=-1) / unit[:, None])[:, weak].pow(2)
                    .mean().sqrt())
        for name, p in points.items()
    }  # fmt: skip


def main(argv=None):
    """Train and print the table."""
    args = parse_args(argv)
    hook = Config.fromfile(CONFIG).custom_hooks[-1]
    titles = ["annotations", "found", "no spread", *(f"share {s:g}" for s in SHARES)]
    print(f"{'noise':<12}{'seed':>5}" + "".join(f"{title:>12}" for title in titles))
    for noise in args.noise:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                store, truth = train(noise, seed, args, folder)
            row = errors(store, truth, hook)
            cells = "".join(f"{row[title]:>12.2f}" for title in titles)
            print(f"{noise:<12}{seed:>5}{cells}", flush=True)


if __name__ == "__main__":
    main()
