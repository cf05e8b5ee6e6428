import pytest
import torch
from mmpose.registry import MODELS

from .test_ghcu import blobs


def test_failures_spoil_only_in_training():
    failures = MODELS.build(dict(type="HeatmapFailures"))
    heatmaps = blobs(torch.full((64, 10, 2), 8.0), (16, 16))
    kept = heatmaps.clone()
    torch.manual_seed(0)
    spoiled = failures(heatmaps)
    assert torch.equal(heatmaps, kept)
    touched = (spoiled != heatmaps).flatten(2).any(-1)
    assert 0.15 < touched.float().mean() < 0.35  # a quarter, by default
    assert torch.isfinite(spoiled).all() and spoiled.max() <= 1
    assert torch.equal(failures.eval()(heatmaps), heatmaps)
    with pytest.raises(ValueError, match="add up to"):
        MODELS.build(dict(type="HeatmapFailures", remove=0.6))


@pytest.mark.parametrize("kind", ["remove", "blur", "displace"])
def test_each_failure_alone(kind):
    shares = dict(remove=0, blur=0, displace=0)
    heatmaps = blobs(torch.full((200, 10, 2), 8.0), (16, 16))
    torch.manual_seed(0)
    spoiled = MODELS.build(dict(type="HeatmapFailures", **shares | {kind: 0.3}))(
        heatmaps
    )
    height = spoiled.flatten(2).amax(-1)
    touched = (spoiled != heatmaps).flatten(2).any(-1)
    assert 0.2 < touched.float().mean() < 0.4
    limit = dict(remove=0.1, blur=0.7, displace=0.5)[kind]
    assert (height[touched] <= limit).all() and (height[~touched] == 1).all()
    untouched = MODELS.build(dict(type="HeatmapFailures", **shares))(heatmaps)
    assert torch.equal(untouched, heatmaps)
