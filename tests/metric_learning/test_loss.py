import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from semamb_mm.functional import (
    caa_scores,
    gaussian_weights,
    weighted_contrastive_loss,
)
from semamb_mm.metric_learning import JointOSMCAALoss, OSMCAALoss
from semamb_mm.metric_learning import loss as loss_module


def batch(m=12, dim=6, classes=4):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(m, dim, generator=generator)
    context = torch.randn(classes, dim, generator=generator)
    return embeddings, torch.arange(m) % classes, context


@pytest.mark.parametrize("osm", [True, False])
@pytest.mark.parametrize("caa", [True, False])
def test_both_cures_can_be_switched_off(osm, caa):
    embeddings, labels, context = batch()
    loss = OSMCAALoss(osm=osm, caa=caa, sigma=0.6, margin=1.4, temperature=0.5)
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
    half = OSMCAALoss(osm=osm, caa=caa, sigma=0.6, margin=1.4, temperature=0.5)
    half.loss_weight = 0.5
    assert half(embeddings, labels, context) == 0.5 * expected


def test_gaussian_attention_and_the_half_in_the_exponent():
    embeddings, labels, context = batch()
    loss = OSMCAALoss(attention="gaussian", attention_sigma=0.5, half_exponent=True)
    attention = gaussian_weights(caa_scores(embeddings, context, labels), 1.0, 0.5)
    expected = weighted_contrastive_loss(
        embeddings, labels, attention, sigma=0.8 * 2**0.5
    )
    assert loss(embeddings, labels, context) == expected
    own = caa_scores(embeddings, context, labels)
    assert loss(embeddings, labels, probabilities=own) == expected
    with pytest.raises(ValueError, match="'probability', 'gaussian'"):
        OSMCAALoss(attention="softmax")


def test_context_learns_from_the_pairs_only_if_weights_do():
    embeddings, labels, context = batch()
    for detach, learns in ((True, False), (False, True)):
        context = context.detach().requires_grad_()
        loss = OSMCAALoss(detach_weights=detach)(
            embeddings.requires_grad_(), labels, context
        )
        loss.backward()
        assert (context.grad is not None) == learns
        assert embeddings.grad.abs().sum() > 0


def test_attention_needs_a_context():
    embeddings, labels, _ = batch()
    with pytest.raises(ValueError, match="class context"):
        OSMCAALoss()(embeddings, labels)


@pytest.mark.parametrize(
    "option", [dict(margin=0), dict(sigma=-1), dict(temperature=0)]
)
def test_wrong_options_are_errors_at_once(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        OSMCAALoss(**option)


@pytest.fixture
def no_compiled():
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("no_compiled")
@pytest.mark.parametrize(
    "options", [dict(), dict(caa=False), dict(detach_weights=False, osm=False)]
)
def test_a_whole_graph_compiles(options):
    embeddings, labels, context = batch()
    plain = OSMCAALoss(**options)
    compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
    found = []
    for loss in (plain, compiled):
        leaves = [embeddings.clone().requires_grad_(), context.clone().requires_grad_()]
        value = loss(leaves[0], labels, leaves[1])
        value.backward()
        grads = [
            leaf.new_zeros(()) if leaf.grad is None else leaf.grad for leaf in leaves
        ]
        found.append([value.detach(), *grads])
        assert (leaves[1].grad is not None) == (options.get("detach_weights") is False)
    torch.testing.assert_close(*found)
    with torch.no_grad():
        assert compiled(embeddings, labels, context) == found[0][0]
    if plain.caa:
        with pytest.raises(RuntimeError, match="out of bounds"):
            compiled(embeddings, labels + 1, context)


@pytest.mark.usefixtures("no_compiled")
def test_the_joint_loss_compiles():
    embeddings, labels, _ = batch()
    loss = JointOSMCAALoss(4, 6)
    expected = loss(embeddings, labels)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value = compiled(embeddings, labels)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert loss.context.weight.grad.abs().sum() > 0


class Model(nn.Module):
    def __init__(self, gather):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(6, 5)
        self.context = nn.Parameter(torch.randn(4, 5))
        self.metric = OSMCAALoss(gather=gather, detach_weights=False)

    def forward(self, inputs, labels):
        return self.metric(self.layer(inputs), labels, self.context)


def _rank(rank, world, folder):
    """Train once with each choice of ``gather``; save losses and gradients."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/init", rank=rank, world_size=world
    )
    inputs, labels, _ = batch()
    mine = slice(rank * 6, rank * 6 + 6)
    for gather in (True, False, "bfloat16"):
        model = DistributedDataParallel(Model(bool(gather)))
        with torch.autocast("cpu", torch.bfloat16, enabled=gather == "bfloat16"):
            loss = model(inputs[mine], labels[mine])
        loss.backward()
        grads = [p.grad for p in model.module.parameters()]
        torch.save(dict(loss=loss.detach(), grads=grads), f"{folder}/{rank}{gather}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes saved; both choices of ``gather`` share them."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(_rank, (2, str(folder)), nprocs=2)
    return folder


@pytest.mark.parametrize("gather", [True, False, "bfloat16"])
def test_two_processes_equal_one_with_the_whole_batch(two_processes, gather):
    inputs, labels, _ = batch()
    model = Model(False)
    half = gather == "bfloat16"
    if gather:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            whole = model(inputs, labels)
        losses = [whole, whole]
    else:  # each rank's own pairs
        losses = [model(inputs[s], labels[s]) for s in (slice(0, 6), slice(6, 12))]
        whole = sum(losses) / 2
    whole.backward()
    for rank, loss in enumerate(losses):
        found = torch.load(two_processes / f"{rank}{gather}.pt", weights_only=True)
        torch.testing.assert_close(found["loss"], loss.detach())
        for gradient, parameter in zip(found["grads"], model.parameters()):
            # The layer's own products are in bfloat16, and of half a batch each.
            tolerance = (
                dict(rtol=2e-2, atol=2e-3) if half else dict(rtol=1e-4, atol=1e-6)
            )
            torch.testing.assert_close(gradient, parameter.grad, **tolerance)


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone."""
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/init", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_gathered_rows_of_the_second_of_three_ranks(monkeypatch):
    def all_gather(parts, sent):
        for rank, part in enumerate(parts):
            part.copy_(sent + 10 * (rank - 1))

    monkeypatch.setattr(dist, "all_gather", all_gather)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    inputs, labels, context = batch()
    inputs.requires_grad_()
    rows = loss_module._gather(inputs)
    torch.testing.assert_close(rows, torch.cat([inputs - 10, inputs, inputs + 10]))
    rows[12:24].sum().backward()
    torch.testing.assert_close(inputs.grad, torch.full_like(inputs, 3))
    # The stand-in for the other ranks adds and takes 10 from the attention, too.
    attention = caa_scores(inputs.detach(), context, labels)
    whole = weighted_contrastive_loss(
        rows.detach(),
        torch.cat([labels - 10, labels, labels + 10]),
        torch.cat([attention - 10, attention, attention + 10]),
    )
    gathered = OSMCAALoss()(inputs.detach(), labels, context)
    torch.testing.assert_close(gathered, whole)


@pytest.mark.usefixtures("one_process")
def test_one_rank_gathers_nothing(monkeypatch):
    monkeypatch.delattr(dist, "all_gather")
    embeddings, labels, context = batch()
    alone = OSMCAALoss(gather=False)(embeddings, labels, context)
    assert OSMCAALoss()(embeddings, labels, context) == alone


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("world", [8, 64])
def test_half_precision_is_gathered_as_it_is(monkeypatch, dtype, world):
    """The ranks are simulated: this is the second, the others hold its neighbours."""
    monkeypatch.setattr(loss_module, "_world_size", lambda: world)
    monkeypatch.setattr(loss_module.dist, "get_rank", lambda: 1)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(world * 4, 16, generator=generator).to(dtype)
    labels = torch.arange(len(rows)) % (2 * world)
    asked = []

    def all_ranks(tensor):
        asked.append(tensor.dtype)
        whole = labels if tensor.dtype == torch.long else rows.float()
        assert torch.equal(tensor, whole[4:8])
        return list(whole.split(4))

    monkeypatch.setattr(loss_module, "_all_ranks", all_ranks)
    mine = rows[4:8].clone().requires_grad_()
    loss = OSMCAALoss(caa=False)(mine, labels[4:8])
    loss.backward()
    whole = rows.float().requires_grad_()
    expected = weighted_contrastive_loss(whole, labels)
    expected.backward()
    assert loss == expected
    assert asked == [torch.float32, torch.long]
    assert torch.equal(mine.grad, (whole.grad[4:8] * world).to(dtype))
