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
    wide = dict(KWARGS, stage_channels=(32, 32, 32), feat_channel=16)
    torch.manual_seed(0)
    last = SlimHourglassNet(channels_last=True, **wide)
    first = SlimHourglassNet(channels_last=False, **wide)
    last.eval(), first.eval()
    first.load_state_dict(last.state_dict())
    images = torch.rand(2, 3, 32, 32)
    for a, b in zip(last(images), first(images)):
        assert a.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_channels_last_is_left_alone_where_onednn_fails():
    """Backward of a strided 1 x 1 convolution below 16 channels: heap corruption."""
    net = SlimHourglassNet(channels_last=True, **KWARGS)
    assert net.memory_format == torch.contiguous_format


def test_single_stack_has_no_parameter_without_a_gradient():
    net = SlimHourglassNet(**dict(KWARGS, num_stacks=1))
    net(torch.rand(2, 3, 64, 64))[0].sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_bad_stride_is_named():
    with pytest.raises(ValueError, match="stem_stride"):
        SlimHourglassNet(stem_stride=3, **KWARGS)
