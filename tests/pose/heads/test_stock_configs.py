"""Every config that the installed MMPose brings, with the head's type replaced."""

import functools
import json
from pathlib import Path

import mmpose
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

import semamb_mm.pose  # noqa: F401

CONFIGS = Path(mmpose.__file__).parent / ".mim" / "configs"
OURS = dict(
    HeatmapHead="SemanticAlignmentHead",
    CPMHead="SemanticAlignmentHead",
    MSPNHead="SemanticAlignmentMSPNHead",
    ViPNASHead="SemanticAlignmentViPNASHead",
)


@functools.cache
def all_heads():
    """Pairs of a head's config and the files that have it, topdown_heatmap's apart."""
    found = {}
    for path in sorted(CONFIGS.glob("**/*.py")):
        # Those of the new style import mmpose.configs, which is not installed.
        if "_base_" in path.parts or "read_base" in path.read_text():
            continue
        head = Config.fromfile(path).model.get("head")
        if head is not None:
            topdown = "topdown_heatmap" in path.parts
            key = topdown, json.dumps(head.to_dict(), sort_keys=True, default=str)
            found.setdefault(key, (head.to_dict(), []))[1].append(path)
    return found


def topdown_heads():
    return [pair for (topdown, _), pair in all_heads().items() if topdown]


def build(head, **changes):
    with torch.device("meta"):
        return MODELS.build({**head, **changes}).eval()


def maps(head):
    """Feature maps as the head's backbone gives them, but small."""
    if head["type"] == "MSPNHead":
        channels = [[head["unit_channels"]] * head["num_units"]] * head["num_stages"]
        return [[torch.empty(1, c, 2, 2, device="meta") for c in u] for u in channels]
    channels = [head["in_channels"]] * head.get("num_stages", 1)
    return [torch.empty(1, c, 2, 2, device="meta") for c in channels]


def shapes(outputs):
    """The output's type with the shapes in it."""
    if isinstance(outputs, torch.Tensor):
        return outputs.shape
    return type(outputs), [part.shape for part in outputs]


def drop_in(head):
    """Compare a stock head with the one that takes its place."""
    theirs, ours = build(head), build(head, type=OURS[head["type"]])
    assert isinstance(ours, type(theirs))
    stock = [(key, value.shape) for key, value in theirs.state_dict().items()]
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == stock
    seen = []
    with ours.register_heatmap_observer(seen.append):
        assert shapes(ours(maps(head))) == shapes(theirs(maps(head)))
    assert ours.num_landmarks == seen[0].shape[1]
    assert len(ours.search_grid.sigma) == len(ours.search_grid.scale_factor) == 2


@pytest.mark.parametrize(
    ("types", "number"),
    [(("HeatmapHead", "CPMHead"), 263), (("MSPNHead", "ViPNASHead"), 14)],
)
def test_every_topdown_heatmap_config_keeps_its_head(types, number):
    """263: of MMPose 1.3.2. The number is here so that the walk cannot shrink."""
    walked, failures = 0, []
    for head, paths in topdown_heads():
        if head["type"] not in types:
            continue
        walked += len(paths)
        try:
            drop_in(head)
        except Exception as error:  # noqa: BLE001
            names = ", ".join(str(path.relative_to(CONFIGS)) for path in paths)
            failures.append(f"{type(error).__name__}: {error}\n  in {names}")
    assert not failures, "\n".join([f"{len(failures)} heads:", *failures])
    assert walked == number


def test_visibility_is_predicted_beside_an_aligned_head():
    heads = [h for h, _ in topdown_heads() if h["type"] == "VisPredictHead"]
    assert len(heads) == 1
    for head in heads:
        pose = dict(head["pose_cfg"], type="SemanticAlignmentHead")
        theirs, ours = build(head), build(head, pose_cfg=pose)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert hasattr(ours.pose_head, "register_heatmap_observer")
        with pytest.raises(ValueError, match="VisPredictHead stays.*pose_cfg=dict"):
            build(head, type="SemanticAlignmentHead")


def test_every_other_config_is_refused_by_a_message_that_names_what_works():
    refused, failures = 0, []
    for head, paths in all_heads().values():
        if head["type"] in ("HeatmapHead", "CPMHead", "ViPNASHead"):
            continue
        refused += len(paths)
        try:
            build(head, type="SemanticAlignmentHead")
            failures.append(f"{head['type']} built, in {paths[0]}")
        except ValueError as error:
            message = str(error)
            codec = (head.get("decoder") or {}).get("type")
            named = codec is not None and f"type='{codec}'" in message
            if not (
                ("The codecs that work" in message and named)
                or f"In place of {head['type']}" in message
                or (codec is None and "It takes the place of HeatmapHead" in message)
            ):
                failures.append(f"{head['type']}, {codec}: {message}")
        except Exception as error:  # noqa: BLE001
            failures.append(f"{head['type']}: {type(error).__name__}: {error}")
    assert not failures, "\n".join([f"{len(failures)} heads:", *failures])
    assert refused > 100
