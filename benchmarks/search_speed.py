"""How long the search for latent targets takes, side by side in one run.

Prints four tables over --repeats rounds:

1. the batched, separable search against a loop over the candidates that is
   vectorised over everything else (16 faces x 68 landmarks, 256 x 256
   heatmaps, 17 x 17 candidates, 15 x 15 patches);
2. the default search on heatmaps of several resolutions;
3. and 4. a training iteration (forward, backward, step) with a stock head, with
   SemanticAlignmentHead, and with the search and its way back to the image, by turns:
   the small hourglass (68 landmarks, 48 x 48 heatmaps), and ResNet-50 (17 landmarks,
   256 x 192 input).
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
from semamb_mm.pose.latent_targets.search import (
    BatchSearch,
    SearchGrid,
    complete_search_options,
    search_heatmaps,
)
from semamb_mm.synthetic.faces import true_keypoints

from .timing import benchmark_parser, cpu_milliseconds, in_turn, milliseconds

# What a training iteration is measured of.
DETECTORS = {
    "small hourglass": dict(
        stock="CPMHead",
        landmarks=68,
        input_size=(96, 96),
        heatmap_size=(48, 48),
        sigma=1.5,
        backbone=dict(
            type="SlimHourglassNet",
            stem_stride=4,
            num_stacks=1,
            downsample_times=3,
            stage_channels=(48, 64, 96, 128),
            stage_blocks=(1, 1, 1, 1),
            feat_channel=48,
        ),
        head=dict(
            in_channels=48,
            num_stages=1,
            deconv_out_channels=(48,),
            deconv_kernel_sizes=(4,),
        ),
    ),
    "ResNet-50": dict(
        stock="HeatmapHead",
        landmarks=17,
        input_size=(192, 256),
        heatmap_size=(48, 64),
        sigma=2.0,
        backbone=dict(type="ResNet", depth=50),
        head=dict(in_channels=2048),
    ),
}
SIGMAS_OF_CELLS = {48: 1.5, 64: 2.0, 96: 2.5, 128: 3.0, 256: 6.0}
SIGMAS = dict(sigma=4.0, sigma_prior=4.0, sigma_likelihood=1.0)
SEARCH = dict(SIGMAS, search_radius=8, patch_radius=7)


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=5)
    parser.add_argument("--batch-size", type=int, default=16, help="of tables 3 and 4")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time in place of wall-clock time, on a CPU that others use",
    )
    args = parser.parse_args()
    args.clock = cpu_milliseconds if args.cpu_time else milliseconds
    return args


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
    calls = dict(ours=ours, theirs=theirs)
    times = in_turn(calls, args.repeats, args.device, args.clock)
    slow, fast = (np.array(times[name]) for name in ("theirs", "ours"))
    ratios = slow / fast
    print(
        f"1. Search, 16 x 68 landmarks, 256 x 256 heatmaps (same targets: {agree})\n"
        f"{'candidate loop':<28}{np.median(slow):>10.1f} ms\n"
        f"{'search_latent_targets':<28}{np.median(fast):>10.1f} ms\n"
        f"{'ratio, median (min, max)':<28}{np.median(ratios):>10.1f} "
        f"({ratios.min():.1f}, {ratios.max():.1f})\n"
    )


def default_table(args):
    """Print the second table."""
    generator = torch.Generator().manual_seed(0)
    print("2. The default search, 16 x 68 landmarks")
    for cells, sigma in SIGMAS_OF_CELLS.items():
        grid = SearchGrid((1.0, 1.0), (sigma, sigma))
        options = complete_search_options(None, grid, 68, "the benchmark")
        heatmaps = torch.rand(16, 68, cells, cells, generator=generator)
        observed = cells * torch.rand(16, 68, 2, generator=generator)
        batch = [t.to(args.device) for t in (heatmaps, observed, torch.ones(16, 68))]

        def search(batch=batch, options=options, grid=grid):
            return search_heatmaps(*batch, options, grid)

        times = in_turn(dict(ours=search), args.repeats, args.device, args.clock)
        print(
            f"{f'{cells} cells, sigma {sigma:g}':<28}{np.median(times['ours']):>10.1f}"
        )
    print()


def build_model(case, head_type, device):
    """Return a detector, ready to train."""
    torch.manual_seed(0)
    codec = dict(
        type="MSRAHeatmap",
        input_size=case["input_size"],
        heatmap_size=case["heatmap_size"],
        sigma=case["sigma"],
        unbiased=True,
    )
    head = dict(
        type=head_type, out_channels=case["landmarks"], decoder=codec, **case["head"]
    )
    model = MODELS.build(
        dict(
            type="TopdownPoseEstimator",
            data_preprocessor=dict(type="PoseDataPreprocessor"),
            backbone=case["backbone"],
            head=head,
        )
    )
    return model.to(device).train()


def make_batch(case, batch_size, device):
    """Return images and the samples that belong to them."""
    width, height = case["input_size"]
    landmarks, samples = case["landmarks"], []
    stride = width / case["heatmap_size"][0]
    columns, rows = (torch.arange(float(n)) for n in case["heatmap_size"])
    for index in range(batch_size):
        points = true_keypoints(0, index, min(width, height))[None, :landmarks]
        sample = PoseDataSample(
            metainfo=dict(
                input_center=np.array([width / 2, height / 2], np.float32),
                input_scale=np.array([width, height], np.float32),
                input_size=(width, height),
                img_shape=(height, width),
                flip=False,
            )
        )
        sample.gt_instances = InstanceData(
            latent_index=np.array([index]),
            latent_view=np.array([0]),
            annotated_keypoints=points,
            latent_keypoints=points,
            transformed_keypoints=points,
            keypoints_visible=np.ones((1, landmarks), np.float32),
        )
        weights = torch.ones(1, landmarks)
        sample.gt_instance_labels = InstanceData(keypoint_weights=weights)
        x = (columns - torch.from_numpy(points[0, :, :1]) / stride).square()
        y = (rows - torch.from_numpy(points[0, :, 1:]) / stride).square()
        spread = 2 * case["sigma"] ** 2
        heatmaps = torch.exp(-(x[:, None, :] + y[:, :, None]) / spread)
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        samples.append(sample.to(device))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, 3, height, width, generator=generator)
    return images.to(device), samples


def training_step(case, head_type, batch, searches, device):
    """Return a function that does one training iteration and returns its loss."""
    images, samples = batch
    model = build_model(case, head_type, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    search, seen = None, []
    if searches:
        grid = model.head.search_grid
        options = complete_search_options(None, grid, case["landmarks"], "")
        search = BatchSearch(options, grid, "annotation", False)
        model.head.register_heatmap_observer(seen.append)

    def step():
        losses = model.loss(images, samples)
        optimizer.zero_grad()
        losses["loss_kpt"].backward()
        optimizer.step()
        if search is not None:
            search(seen.pop().detach(), samples)
        return losses["loss_kpt"].detach()

    return step


def iteration_table(number, title, args):
    """Print the table of one detector."""
    case = DETECTORS[title]
    batch = make_batch(case, args.batch_size, args.device)
    steps = {
        name: training_step(case, head_type, batch, searches, args.device)
        for name, head_type, searches in (
            (case["stock"], case["stock"], False),
            ("not searching", "SemanticAlignmentHead", False),
            ("searching", "SemanticAlignmentHead", True),
        )
    }
    times = in_turn(steps, args.repeats, args.device, args.clock)
    stock = np.array(times[case["stock"]])
    print(f"{number}. Training iteration, {title}, batch {args.batch_size}")
    for name, taken in times.items():
        ratios = np.array(taken) / stock
        print(
            f"{name:<28}{np.median(taken):>10.1f} ms"
            f"{np.median(ratios):>10.3f} ({ratios.min():.3f} to {ratios.max():.3f})"
        )
    print()


def main():
    """Print the tables."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope("mmpose")
    print(
        f"torch {torch.__version__}, {args.threads} threads, {args.device}, "
        f"{'processor' if args.cpu_time else 'wall-clock'} time, median of "
        f"{args.repeats}\n"
    )
    search_table(args)
    default_table(args)
    for number, title in enumerate(DETECTORS, 3):
        iteration_table(number, title, args)


if __name__ == "__main__":
    main()
