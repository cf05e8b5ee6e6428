import pytest
import torch

from semamb_mm.pose.backbones import SlimHourglassNet

KWARGS = dict(
    stage_channels=(8, 12, 12),
    stage_blocks=(1, 1, 1),
    downsample_times=2,
    num_stacks=2,
    feat_channel=6,
)


@pytest.mark.parametrize(("stride", "side"), [(2, 32), (4, 16)])
def test_shapes(stride, side):
    feats = SlimHourglassNet(stem_stride=stride, **KWARGS)(torch.rand(2, 3, 64, 64))
    assert [tuple(f.shape) for f in feats] == [(2, 6, side, side)] * 2


def test_memory_layout_does_not_change_the_numbers():
    torch.manual_seed(0)
    last = SlimHourglassNet(channels_last=True, **KWARGS)
    first = SlimHourglassNet(channels_last=False, **KWARGS)
    last.eval(), first.eval()
    first.load_state_dict(last.state_dict())
    images = torch.rand(2, 3, 32, 32)
    for a, b in zip(last(images), first(images)):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_bad_stride_is_named():
    with pytest.raises(ValueError, match="stem_stride"):
        SlimHourglassNet(stem_stride=3, **KWARGS)
