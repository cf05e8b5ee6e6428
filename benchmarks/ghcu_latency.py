"""What a GHCU adds to the latency of the 4-stack hourglass.

Times the network, 68 landmarks on a 256 x 256 input, and the GHCU by turns, so that
both meet the same load of the machine, and prints the medians and their ratio for
each batch size and heatmap size. The network makes 64 x 64 heatmaps throughout,
without the deconvolutions to 256 x 256: what the GHCU adds is compared with the
least that the detector can cost. Decoding is the same in both and left out.
"""

import argparse
import statistics
import time

import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from semamb_mm.pose import GHCU

NUM_KEYPOINTS = 68


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--heatmap-sizes", type=int, nargs="+", default=[256, 64])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def build_detector():
    backbone = MODELS.build(
        dict(
            type="HourglassNet",
            num_stacks=4,
            downsample_times=4,
            stage_channels=(256,) * 5,
            stage_blocks=(1,) * 5,
        )
    )
    head = MODELS.build(
        dict(
            type="SemanticAlignmentHead",
            in_channels=256,
            out_channels=NUM_KEYPOINTS,
            num_stages=4,
            decoder=dict(
                type="MSRAHeatmap",
                input_size=(256, 256),
                heatmap_size=(64, 64),
                sigma=2,
                unbiased=True,
            ),
        )
    )
    return torch.nn.ModuleList([backbone, head])


def milliseconds(function, images):
    synchronize = torch.cuda.synchronize if images.is_cuda else lambda: None
    synchronize()
    start = time.perf_counter()
    function(images)
    synchronize()
    return 1000 * (time.perf_counter() - start)


@torch.no_grad()
def main():
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
            times = [
                (milliseconds(detector, images), milliseconds(refiner, heatmaps))
                for _ in range(args.repeats + 1)
            ]
            # The first warms up.
            alone, added = (statistics.median(t) for t in zip(*times[1:]))
            print(
                f"{batch:5}  {size:3} x {size:<3}  {alone:10.1f}  {added:7.2f}  "
                f"{added / alone:.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
