import pytest
import torch
import torch.nn.functional as F

from semamb_mm.metric_learning import JointOSMCAALoss, OSMCAALoss


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, 6, generator=generator), torch.arange(12) % 4


@pytest.mark.parametrize("caa", [True, False])
@pytest.mark.parametrize("detach_weights", [True, False])
def test_it_is_the_pair_loss_and_the_cross_entropy(caa, detach_weights):
    embeddings, labels = batch()
    options = dict(caa=caa, detach_weights=detach_weights, temperature=0.3, sigma=0.6)
    loss = JointOSMCAALoss(4, 6, classification_weight=0.7, **options)
    torch.nn.init.normal_(loss.context.weight)
    embeddings.requires_grad_()
    parameters = (embeddings, loss.context.weight)
    scores = F.normalize(embeddings) @ loss.context.weight.t() / 0.3
    expected = OSMCAALoss(**options)(embeddings, labels, loss.context.weight)
    expected = expected + 0.7 * F.cross_entropy(scores, labels)
    found = loss(embeddings, labels)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters),
        torch.autograd.grad(expected, parameters),
    )


def test_a_hopeless_sample_still_teaches_the_context():
    """Its probability is 0 in float32, the log of it is not."""
    loss = JointOSMCAALoss(4, 6, temperature=0.01)
    with torch.no_grad():
        loss.context.weight.copy_(torch.eye(4, 6))
    value = loss(torch.eye(6)[:1], torch.tensor([1]))
    assert value.item() == pytest.approx(100)
    value.backward()
    assert loss.context.weight.grad[1].abs().max() > 10


def test_what_a_miner_chose_is_refused():
    embeddings, labels = batch()
    chosen = tuple(torch.zeros(4, 1).long())
    with pytest.raises(ValueError, match="leave the miner out"):
        JointOSMCAALoss(4, 6)(embeddings, labels, chosen)
    for caa in (True, False):
        with pytest.raises(ValueError, match="leave the miner out"):
            OSMCAALoss(caa=caa)(embeddings, labels, chosen)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="num_classes and embedding_size"):
        JointOSMCAALoss(0, 6)
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        JointOSMCAALoss(4, 6, caa=False)(torch.rand(2, 6), torch.tensor([0, 4]))
    with pytest.raises(ValueError, match="sigma"):
        JointOSMCAALoss(4, 6, sigma=0)
