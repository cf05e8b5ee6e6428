"""What a GHCU adds to the latency of the 4-stack hourglass.

Times the network, 68 landmarks on a 256 x 256 input, and the GHCU by turns, so that
both meet the same load of the machine, and prints the medians and their ratio for
each batch size and heatmap size. The network makes 64 x 64 heatmaps throughout,
without the deconvolutions to 256 x 256: what the GHCU adds is compared with the
least that the detector can cost. Decoding is the same in both and left out.
"""

import statistics

import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from semamb_mm.pose import GHCU

from .timing import benchmark_parser, hourglass_codec, in_turn

NUM_KEYPOINTS = 68
BACKBONE = dict(
    type="HourglassNet",
    downsample_times=4,
    stage_channels=(256,) * 5,
    stage_blocks=(1,) * 5,
    feat_channel=256,
)


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=7)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--heatmap-sizes", type=int, nargs="+", default=[256, 64])
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def build_detector():
    """Return backbone and head of the 4-stack hourglass."""
    backbone = MODELS.build(dict(BACKBONE, num_stacks=4))
    head = MODELS.build(
        dict(
            type="SemanticAlignmentHead",
            in_channels=BACKBONE["feat_channel"],
            out_channels=NUM_KEYPOINTS,
            num_stages=4,
            decoder=hourglass_codec(sigma=2),
        )
    )
    return torch.nn.ModuleList([backbone, head])


@torch.no_grad()
def main():
    """Print the table."""
    args = parse_args()
    init_default_scope("mmpose")
    torch.manual_seed(0)
    backbone, head = build_detector().to(args.device).eval()

    def detector(images):
        return head.forward(backbone(images))[-1]

    print("batch  heatmaps  detector ms  GHCU ms  added", flush=True)
    for batch in args.batch_sizes:
        images = torch.rand(batch, 3, 256, 256, device=args.device)
        for size in args.heatmap_sizes:
            refiner = GHCU(NUM_KEYPOINTS, (size, size)).to(args.device).eval()
            heatmaps = torch.rand(batch, NUM_KEYPOINTS, size, size, device=args.device)
            calls = dict(
                detector=lambda images=images: detector(images),
                refiner=lambda heatmaps=heatmaps, refiner=refiner: refiner(heatmaps),
            )
            times = in_turn(calls, args.repeats, args.device)
            alone, added = (statistics.median(times[name]) for name in calls)
            print(
                f"{batch:5}  {size:3} x {size:<3}  {alone:10.1f}  {added:7.2f}  "
                f"{added / alone:.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
