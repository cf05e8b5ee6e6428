import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import semamb_mm.pretrain  # noqa: F401
from semamb_mm.functional import caa_scores, weighted_contrastive_loss


def build(**options):
    init_default_scope("mmpretrain")
    return MODELS.build(dict(type="OSMCAALoss", **options))


def batch(m=12, dim=6, classes=4):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(m, dim, generator=generator)
    context = torch.randn(classes, dim, generator=generator)
    return embeddings, torch.arange(m) % classes, context


@pytest.mark.parametrize("osm", [True, False])
@pytest.mark.parametrize("caa", [True, False])
def test_both_cures_can_be_switched_off(osm, caa):
    embeddings, labels, context = batch()
    loss = build(osm=osm, caa=caa, sigma=0.6, margin=1.4, temperature=0.5)
    attention = caa_scores(embeddings, context, labels, temperature=0.5)
    expected = weighted_contrastive_loss(
        embeddings,
        labels,
        attention if caa else None,
        sigma=0.6,
        margin=1.4,
        soft_mining=osm,
    )
    assert loss(embeddings, labels, context) == expected
    if not caa:
        assert loss(embeddings, labels) == expected
    half = build(osm=osm, caa=caa, sigma=0.6, margin=1.4, temperature=0.5)
    half.loss_weight = 0.5
    assert half(embeddings, labels, context) == 0.5 * expected


def test_context_learns_from_the_pairs_only_if_weights_do():
    embeddings, labels, context = batch()
    for detach, learns in ((True, False), (False, True)):
        context = context.detach().requires_grad_()
        loss = build(detach_weights=detach)(
            embeddings.requires_grad_(), labels, context
        )
        loss.backward()
        assert (context.grad is not None) == learns
        assert embeddings.grad.abs().sum() > 0


def test_attention_needs_a_context():
    embeddings, labels, _ = batch()
    with pytest.raises(ValueError, match="class context"):
        build()(embeddings, labels)


@pytest.mark.parametrize(
    "option", [dict(margin=0), dict(sigma=-1), dict(temperature=0)]
)
def test_wrong_options_are_errors_at_once(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        build(**option)


class Model(nn.Module):
    def __init__(self, gather):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(6, 5)
        self.context = nn.Parameter(torch.randn(4, 5))
        self.metric = build(gather=gather, detach_weights=False)

    def forward(self, inputs, labels):
        return self.metric(self.layer(inputs), labels, self.context)


def _rank(rank, world, folder, gather):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/init", rank=rank, world_size=world
    )
    inputs, labels, _ = batch()
    mine = slice(rank * 6, rank * 6 + 6)
    model = DistributedDataParallel(Model(gather))
    loss = model(inputs[mine], labels[mine])
    loss.backward()
    grads = [p.grad for p in model.module.parameters()]
    torch.save(dict(loss=loss.detach(), grads=grads), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("gather", [True, False])
def test_two_processes_equal_one_with_the_whole_batch(tmp_path, gather):
    mp.spawn(_rank, (2, str(tmp_path), gather), nprocs=2)
    inputs, labels, _ = batch()
    model = Model(False)
    if gather:
        whole = model(inputs, labels)
        losses = [whole, whole]
    else:  # each rank's own pairs
        losses = [model(inputs[s], labels[s]) for s in (slice(0, 6), slice(6, 12))]
        whole = sum(losses) / 2
    whole.backward()
    for rank, loss in enumerate(losses):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["loss"], loss.detach())
        for gradient, parameter in zip(found["grads"], model.parameters()):
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)
