"""How long the search for latent targets takes, side by side in one run.

Prints three tables, medians over --repeats:

1. the batched, separable search against a loop over the candidates that is
   vectorised over everything else (16 faces x 68 landmarks, 256 x 256
   heatmaps, 17 x 17 candidates, 15 x 15 patches);
2. the search as a share of one training iteration (forward, backward, step) of
   the 4-stack hourglass at 256 px;
3. a training iteration with SemanticAlignmentHead that searches, against
   MMPose's CPMHead, alternating.
"""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import semamb_mm.pose  # noqa: F401
from semamb_mm.functional import gaussian_patch, search_latent_targets
from semamb_mm.pose.latent_targets.search import BatchSearch, complete_search_options
from semamb_mm.synthetic.faces import true_keypoints

from .timing import benchmark_parser, hourglass_codec, in_turn

BACKBONE = dict(type="HourglassNet", feat_channel=256)
SIGMAS = dict(sigma=4.0, sigma_prior=4.0, sigma_likelihood=1.0)
SEARCH = dict(SIGMAS, search_radius=8, patch_radius=7)


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=7)
    parser.add_argument("--batch-size", type=int, default=4, help="of tables 2 and 3")
    parser.add_argument("--stacks", type=int, default=4, help="of tables 2 and 3")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def candidate_loop(heatmaps, observed):
    """The plain way: crop all patches of one candidate offset at a time."""
    radius, patch = SEARCH["search_radius"], SEARCH["patch_radius"]
    ideal = gaussian_patch(patch, SEARCH["sigma"]).to(heatmaps)
    margin = radius + patch
    padded = F.pad(heatmaps, (margin,) * 4).flatten(0, 1)
    cells = observed.round().long().flatten(0, 1)
    steps = torch.arange(-patch, patch + 1, device=heatmaps.device) + margin
    maps = torch.arange(len(padded), device=heatmaps.device)[:, None, None]
    best = torch.full((len(padded),), float("inf"), device=heatmaps.device)
    targets = cells.float()
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            candidates = cells + cells.new_tensor([dx, dy])
            rows = (candidates[:, 1, None] + steps)[:, :, None]
            columns = (candidates[:, 0, None] + steps)[:, None, :]
            patches = padded[maps, rows, columns]
            chi_square = ((ideal - patches).square() / ideal).sum((1, 2))
            prior = (candidates - observed.flatten(0, 1)).square().sum(-1)
            energy = prior / (2 * SEARCH["sigma_prior"] ** 2)
            energy = energy + chi_square / (2 * SEARCH["sigma_likelihood"] ** 2)
            better = energy < best
            best = torch.where(better, energy, best)
            targets = torch.where(better[:, None], candidates.float(), targets)
    return targets.view_as(observed), best.view(observed.shape[:2])


def search_table(args):
    """Print the first table."""
    generator = torch.Generator().manual_seed(0)
    heatmaps = torch.rand(16, 68, 256, 256, generator=generator).to(args.device)
    observed = (torch.rand(16, 68, 2, generator=generator) * 255).to(args.device)

    def ours():
        return search_latent_targets(heatmaps, observed, **SEARCH)

    def theirs():
        return candidate_loop(heatmaps, observed)

    agree = torch.equal(ours()[0], theirs()[0])
    times = in_turn(dict(ours=ours, theirs=theirs), args.repeats, args.device)
    slow, fast = np.median(times["theirs"]), np.median(times["ours"])
    print(
        f"1. Search, 16 x 68 landmarks, 256 x 256 heatmaps (same targets: {agree})\n"
        f"{'candidate loop':<28}{slow:>10.1f} ms\n"
        f"{'search_latent_targets':<28}{fast:>10.1f} ms\n"
        f"{'ratio':<28}{slow / fast:>10.1f}\n"
    )


def build_model(head_type, stacks, device):
    """Return a hourglass with a head, ready to train."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type="TopdownPoseEstimator",
            data_preprocessor=dict(type="PoseDataPreprocessor"),
            backbone=dict(BACKBONE, num_stacks=stacks),
            head=dict(
                type=head_type,
                in_channels=BACKBONE["feat_channel"],
                out_channels=68,
                num_stages=stacks,
                decoder=hourglass_codec(sigma=1.5),
            ),
        )
    )
    return model.to(device).train()


def make_batch(batch_size, device):
    """Return images and the samples that belong to them."""
    samples = []
    for index in range(batch_size):
        points = true_keypoints(0, index, 256)[None]
        sample = PoseDataSample(
            metainfo=dict(
                input_center=np.array([128.0, 128.0], np.float32),
                input_scale=np.array([256.0, 256.0], np.float32),
                input_size=(256, 256),
                img_shape=(256, 256),
                flip=False,
            )
        )
        sample.gt_instances = InstanceData(
            latent_index=np.array([index]),
            latent_view=np.array([0]),
            annotated_keypoints=points,
            latent_keypoints=points,
            transformed_keypoints=points,
            keypoints_visible=np.ones((1, 68), np.float32),
        )
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 68))
        cells = torch.arange(64.0)
        x = (cells - torch.from_numpy(points[0, :, :1]) / 4).square()
        y = (cells - torch.from_numpy(points[0, :, 1:]) / 4).square()
        heatmaps = torch.exp(-(x[:, None, :] + y[:, :, None]) / (2 * 1.5**2))
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        samples.append(sample.to(device))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, 3, 256, 256, generator=generator).to(device)
    return images, samples


def iteration_tables(args):
    """Print the second and the third table."""
    images, samples = make_batch(args.batch_size, args.device)
    steps = {}
    for head_type in ("CPMHead", "SemanticAlignmentHead"):
        model = build_model(head_type, args.stacks, args.device)
        search, seen = None, []
        if head_type == "SemanticAlignmentHead":
            head = model.head
            head.register_heatmap_observer(seen.append)
            options = complete_search_options(None, head.search_grid, 68, "")
            search = BatchSearch(options, head.search_grid, "annotation", False)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

        def step(model=model, optimizer=optimizer, search=search, seen=seen):
            losses = model.loss(images, samples)
            optimizer.zero_grad()
            losses["loss_kpt"].backward()
            optimizer.step()
            if search is not None:
                search(seen.pop().detach(), samples)

        steps[head_type] = step
    times = in_turn(steps, args.repeats, args.device)
    heatmaps = torch.rand(args.batch_size, 68, 64, 64, device=args.device)
    alone = in_turn(dict(search=lambda: search(heatmaps, samples)), 15, args.device)
    alone, plain = np.median(alone["search"]), np.median(times["CPMHead"])
    ratios = np.array(times["SemanticAlignmentHead"]) / np.array(times["CPMHead"])
    print(
        f"2. {args.stacks}-stack hourglass at 256 px, batch {args.batch_size}, 64 x 64 "
        "heatmaps\n"
        f"{'training iteration':<28}{plain:>10.1f} ms\n"
        f"{'search and way back':<28}{alone:>10.1f} ms\n"
        f"{'share':<28}{100 * alone / plain:>10.2f} %\n"
    )
    print(
        "3. Training iteration, SemanticAlignmentHead (searching) / CPMHead\n"
        f"{'CPMHead':<28}{plain:>10.1f} ms\n"
        f"{'SemanticAlignmentHead':<28}"
        f"{np.median(times['SemanticAlignmentHead']):>10.1f} ms\n"
        f"{'ratio, median (min, max)':<28}{np.median(ratios):>10.3f} "
        f"({ratios.min():.3f}, {ratios.max():.3f})"
    )


def main():
    """Print the tables."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope("mmpose")
    print(f"torch {torch.__version__}, {args.threads} threads, {args.device}\n")
    search_table(args)
    iteration_tables(args)


if __name__ == "__main__":
    main()
