"""What a GHCU adds to the latency of the 4-stack hourglass.

Times the network alone and with the GHCU, in turn, 256 x 256 input and 64 x 64
heatmaps, and prints the medians and their ratio for each batch size. Decoding is the
same in both and left out.
"""

import argparse
import statistics
import time

import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import semamb_mm.pose  # noqa: F401


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def build():
    codec = dict(
        type="MSRAHeatmap",
        input_size=(256, 256),
        heatmap_size=(64, 64),
        sigma=2,
        unbiased=True,
    )
    backbone = MODELS.build(dict(type="HourglassNet", num_stacks=4))
    head = MODELS.build(
        dict(
            type="SemanticAlignmentHead",
            in_channels=256,
            out_channels=68,
            num_stages=4,
            decoder=codec,
            refiner=dict(type="GHCU"),
        )
    )
    return torch.nn.ModuleList([backbone, head])


def milliseconds(function, images):
    device = str(images.device)
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function(images)
    if device != "cpu":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start), result


@torch.no_grad()
def main():
    args = parse_args()
    init_default_scope("mmpose")
    torch.manual_seed(0)
    network = build().to(args.device)
    network.eval()
    backbone, head = network

    def detector(images):
        return head.forward(backbone(images))[-1]

    print("batch  detector ms  GHCU ms  added")
    for batch in args.batch_sizes:
        images = torch.rand(batch, 3, 256, 256, device=args.device)
        detector_times, ghcu_times = [], []
        for repeat in range(args.repeats + 1):
            elapsed, heatmaps = milliseconds(detector, images)
            added, _ = milliseconds(head.refiner, heatmaps)
            if repeat:  # the first warms up
                detector_times.append(elapsed)
                ghcu_times.append(added)
        alone, ghcu = map(statistics.median, (detector_times, ghcu_times))
        print(f"{batch:5}  {alone:11.1f}  {ghcu:7.2f}  {ghcu / alone:.2%}")


if __name__ == "__main__":
    main()
