"""Write a detector, its decoding and its refiner as one ONNX file, and check it.

The network takes face crops as OpenCV reads them, (B, 3, H, W) float32, BGR, 0 to
255, at the config's input size, any batch size, and gives ``keypoints`` (B, K, 2) in
pixels of the crop, ``scores`` (B, K) and ``corrected`` (B, K), which landmarks the
refiner moved. The file is run in onnxruntime on crops of the config's test images
and compared with PyTorch before it gets its name; without onnxruntime, or without
test images, give --no-check.

Flip testing is left out, whatever the config says. Needs onnx and onnxruntime:
pip install onnx onnxruntime.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import DATASETS

from semamb_mm.cli import check_data, model_parser, open_config, open_pose_model
from semamb_mm.formats.files import atomic_path
from semamb_mm.pose.export import DeployedDetector
from semamb_mm.pose.heads import last_stage

NAMES = ("keypoints", "scores", "corrected")


def parse_args(argv=None):
    """Return the command line's options."""
    parser = model_parser(__doc__, device=False)
    parser.add_argument("--out", help="default: the checkpoint's name with .onnx")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument(
        "--num-images", type=int, default=20, help="test images to check on"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-3,
        help="largest difference from PyTorch, pixels of the crop (%(default)g)",
    )
    parser.add_argument("--no-check", action="store_true")
    args = parser.parse_args(argv)
    if not args.no_check and args.num_images < 1:
        parser.error("--num-images: the check needs one image; or give --no-check")
    return args


def require_onnx(check):
    """Stop before any work if a package is missing."""
    for package in ("onnx", "onnxruntime")[: 1 + check]:
        if find_spec(package) is None:
            raise SystemExit(
                f"{package} is not installed: pip install {package}"
                + " (or give --no-check)" * (package == "onnxruntime")
            )


def export(model, crops, path, opset):
    """Write the ONNX file, traced on some crops."""
    with warnings.catch_warnings():
        # Of the exporter chosen here, and of checks of shapes that stay as they are.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            DeployedDetector(model).eval(),
            (crops,),
            str(path),
            input_names=["images"],
            output_names=list(NAMES),
            dynamic_axes={name: {0: "batch"} for name in ("images", *NAMES)},
            opset_version=opset,
            dynamo=False,
        )


def test_crops(config, count):
    """Return ``(N, 3, H, W)`` crops of the test images, and their data samples."""
    dataset = DATASETS.build(config.test_dataloader.dataset)
    faces = [dataset[i] for i in range(min(count, len(dataset)))]
    return (
        torch.stack([face["inputs"] for face in faces]).float(),
        [face["data_samples"] for face in faces],
    )


def check(model, path, crops, samples, tolerance):
    """Compare onnxruntime, at batch sizes 1 and all, with the model's prediction."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    with torch.no_grad():
        data = model.data_preprocessor(
            dict(inputs=list(crops.byte()), data_samples=samples), False
        )
        feats = model.extract_feat(data["inputs"])
        expected = model.head.decode(last_stage(model.head.forward(feats)))
    positions = np.concatenate([p.keypoints for p in expected])
    whole = session.run(NAMES, {"images": crops.numpy()})
    single = session.run(NAMES, {"images": crops[:1].numpy()})
    worst = max(
        np.abs(whole[0] - positions).max(), np.abs(single[0] - positions[:1]).max()
    )
    print(f"largest difference on {len(crops)} images: {worst:.2g} px")
    if not worst <= tolerance:
        raise SystemExit(
            f"the ONNX file differs from PyTorch by {worst:.3g} px, more than "
            f"{tolerance:g}; nothing has been written"
        )


def main(argv=None):
    """Export, check, and give the file its name."""
    args = parse_args(argv)
    require_onnx(not args.no_check)
    config = open_config(args)
    if not args.no_check:
        check_data(config, "test")
    model = open_pose_model(config, args.checkpoint)
    out = Path(args.out or Path(args.checkpoint).with_suffix(".onnx"))
    out.parent.mkdir(parents=True, exist_ok=True)
    width, height = model.head.decoder.input_size
    with atomic_path(out) as unfinished:
        export(model, torch.rand(2, 3, height, width) * 255, unfinished, args.opset)
        if not args.no_check:
            crops, samples = test_crops(config, args.num_images)
            check(model, unfinished, crops, samples, args.tolerance)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
