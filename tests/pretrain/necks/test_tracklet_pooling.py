import pytest
import torch
from mmpretrain.registry import MODELS


def build(**options):
    return MODELS.build(dict(type="TrackletPooling", num_frames=3, **options))


@pytest.mark.parametrize("mode", ["mean", "attention"])
def test_before_training_it_is_the_mean(mode):
    features = torch.rand(6, 5)
    (pooled,) = build(mode=mode, in_channels=5)((features,))
    expected = torch.stack([features[:3].mean(0), features[3:].mean(0)])
    torch.testing.assert_close(pooled, expected)


def test_attention_by_a_loop():
    neck = build(mode="attention", in_channels=5)
    torch.nn.init.normal_(neck.score.weight)
    features = torch.rand(6, 5, requires_grad=True)
    (pooled,) = neck((features,))
    for sample in range(2):
        frames = features[3 * sample : 3 * sample + 3]
        exponentials = [torch.exp(neck.score.weight[0] @ frame) for frame in frames]
        expected = sum(e * f for e, f in zip(exponentials, frames)) / sum(exponentials)
        torch.testing.assert_close(pooled[sample], expected)
    pooled[:, 0].sum().backward()
    assert neck.score.weight.grad.abs().sum() > 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="mode is one of .*, not 'max'"):
        build(mode="max")
    with pytest.raises(ValueError, match="'attention' needs in_channels"):
        build(mode="attention")
    with pytest.raises(ValueError, match=r"expected .*\(B \* 3, C\), got \(6, 5, 2, 2"):
        build()((torch.rand(6, 5, 2, 2),))
    with pytest.raises(ValueError, match=r"got \(4, 5\)"):
        build()((torch.rand(4, 5),))
