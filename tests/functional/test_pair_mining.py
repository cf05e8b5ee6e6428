"""The pair losses against loops written from the paper's formulas."""

import math
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import (
    _pair_walk,
    _pairs,
    caa_scores,
    osm_scores,
    weighted_contrastive_loss,
)

# Up to which share of the pairs a list of them is used: always, or never.
WAYS = {"list": 2.0, "blocks": -1.0}


def way(name):
    return mock.patch.object(_pair_walk, "_LISTED", WAYS[name])


def loop_loss(embeddings, labels, attention=None, **options):
    """Float64, pair by pair; differentiable."""
    sigma, margin = options.get("sigma", 0.8), options.get("margin", 1.2)
    share = options.get("negative_weight", 0.5)
    detach = options.get("detach_weights", True)
    f = embeddings.double()
    f = f / f.norm(dim=1, keepdim=True)
    sums = dict(near=[], far=[])
    for i in range(len(f)):
        for j in range(len(f)):
            if i == j:
                continue
            squared = (f[i] - f[j]).square().sum()
            d = squared.sqrt() if squared > 0 else squared
            same = labels[i] == labels[j]
            if not options.get("soft_mining", True):
                weight = torch.ones(())
            elif same:
                weight = torch.exp(-squared / sigma**2)
            else:
                weight = (margin - d).clamp(min=0)
            if attention is not None:
                weight = weight * torch.minimum(attention[i], attention[j])
            weight = weight.detach() if detach else weight
            slack = squared if same else (margin - d).clamp(min=0).square()
            sums["near" if same else "far"].append((weight, slack))
    parts = []
    for pairs in (sums["near"], sums["far"]):
        total = sum(w for w, _ in pairs)
        empty = not pairs or total == 0
        parts.append(0.0 if empty else 0.5 * sum(w * s for w, s in pairs) / total)
    return (1 - share) * parts[0] + share * parts[1]


def batch(m=9, dim=5, classes=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(m, dim, generator=generator, dtype=dtype)
    labels = torch.randint(classes, (m,), generator=generator)
    attention = torch.rand(m, generator=generator, dtype=dtype)
    return embeddings, labels, attention


def gradients(function, embeddings, labels, attention, **options):
    embeddings = embeddings.clone().requires_grad_()
    leaves = [embeddings]
    if attention is not None and not options.get("detach_weights", True):
        attention = attention.clone().requires_grad_()
        leaves.append(attention)
    loss = function(embeddings, labels, attention, **options)
    return loss, *torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("chunk_size", [None, 1, 4, 100])
@pytest.mark.parametrize("detach_weights", [True, False])
@pytest.mark.parametrize("soft_mining", [True, False])
@pytest.mark.parametrize("with_attention", [True, False])
def test_loss_and_gradient_equal_the_loop(
    chunk_size, detach_weights, soft_mining, with_attention
):
    embeddings, labels, attention = batch()
    arguments = (embeddings, labels, attention if with_attention else None)
    options = dict(
        sigma=0.7,
        margin=1.5,
        negative_weight=0.3,
        detach_weights=detach_weights,
        soft_mining=soft_mining,
    )
    expected = gradients(loop_loss, *arguments, **options)
    found = gradients(
        weighted_contrastive_loss, *arguments, chunk_size=chunk_size, **options
    )
    assert expected[0] > 0.01
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 12),
    dim=st.integers(1, 6),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    chunk_size=st.none() | st.integers(1, 13),
)
def test_loss_equals_the_loop_for_any_batch(m, dim, classes, seed, chunk_size):
    arguments = batch(m, dim, classes, seed)
    found = weighted_contrastive_loss(*arguments, chunk_size=chunk_size)
    expected = float(loop_loss(*arguments))
    assert found.item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_single_precision_is_close():
    for seed in range(5):
        embeddings, labels, attention = batch(40, 16, 5, seed, torch.float32)
        found = gradients(weighted_contrastive_loss, embeddings, labels, attention)
        expected = gradients(
            weighted_contrastive_loss, embeddings.double(), labels, attention.double()
        )
        assert found[0].dtype == torch.float32
        torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=0)
        torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_single_precision(dtype):
    embeddings, labels, attention = batch(20, 8, 4, dtype=torch.float32)
    expected = weighted_contrastive_loss(embeddings, labels, attention)
    context = torch.randn(4, 8)
    attended = caa_scores(embeddings, context, labels)
    with torch.autocast("cpu", dtype=dtype):
        assert weighted_contrastive_loss(embeddings, labels, attention) == expected
        assert torch.equal(caa_scores(embeddings, context, labels), attended)
        low = weighted_contrastive_loss(embeddings.to(dtype), labels, attention)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("detach_weights", [True, False])
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_gradcheck(detach_weights, chunk_size):
    """Finite differences of the loss, through the weights too.

    The loop's own weights are not constant for finite differences, so that only the
    gradient through the weights can be checked by them.
    """
    embeddings, labels, attention = batch(7, 4, 2, seed=3)

    def function(e, a):
        # With uniform weights detaching changes nothing.
        return weighted_contrastive_loss(
            e,
            labels,
            None if detach_weights else a,
            margin=1.7,
            detach_weights=detach_weights,
            soft_mining=not detach_weights,
            chunk_size=chunk_size,
        )

    inputs = (embeddings.requires_grad_(), attention.requires_grad_())
    if detach_weights:
        assert torch.autograd.gradcheck(lambda e: function(e, None), inputs[:1])
    else:
        assert torch.autograd.gradcheck(function, inputs)


def test_order_of_the_batch_does_not_matter():
    embeddings, labels, attention = batch(12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    one = gradients(weighted_contrastive_loss, embeddings, labels, attention)
    two = gradients(
        weighted_contrastive_loss, embeddings[order], labels[order], attention[order]
    )
    torch.testing.assert_close(one[0], two[0])
    torch.testing.assert_close(one[1][order], two[1])


def test_scale_of_an_embedding_does_not_matter():
    embeddings, labels, attention = batch()
    loss = weighted_contrastive_loss(embeddings, labels, attention)
    scaled = embeddings * torch.arange(1.0, 10.0)[:, None]
    torch.testing.assert_close(
        weighted_contrastive_loss(scaled, labels, attention), loss
    )


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [5, 5, 7]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coinciding_samples_have_finite_gradients(labels, dtype):
    embeddings = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.3, -1.0]], dtype=dtype)
    for detach in (True, False):
        loss, gradient = gradients(
            weighted_contrastive_loss,
            embeddings,
            torch.tensor(labels),
            None,
            detach_weights=detach,
        )
        expected = loop_loss(embeddings, torch.tensor(labels))
        assert loss.item() == pytest.approx(float(expected), rel=1e-4)
        assert torch.isfinite(gradient).all()
    same = weighted_contrastive_loss(embeddings[:1].repeat(4, 1), torch.zeros(4).long())
    assert same.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("m", [0, 1])
def test_without_a_pair_the_loss_is_zero(m):
    loss, gradient = gradients(
        weighted_contrastive_loss, torch.randn(m, 3), torch.zeros(m).long(), None
    )
    assert loss == 0 and gradient.shape == (m, 3) and (gradient == 0).all()


def test_no_attention_at_all_is_zero_and_not_nan():
    embeddings, labels, _ = batch()
    loss, gradient = gradients(
        weighted_contrastive_loss, embeddings, labels, torch.zeros(9)
    )
    assert loss == 0 and (gradient == 0).all()


def test_zero_embeddings_stay_at_the_origin():
    embeddings = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1])
    loss, gradient = gradients(weighted_contrastive_loss, embeddings, labels, None)
    near = 0.5 * 1.0  # the one positive pair is 1 apart
    slack = [1.2 - 1.0, 0.0]  # sqrt(2) is beyond the margin
    far = 0.5 * slack[0] ** 3 / slack[0]
    assert loss.item() == pytest.approx(0.5 * near + 0.5 * far)
    assert torch.isfinite(gradient).all() and (gradient[0] == 0).all()


def test_scores_by_hand():
    distances = torch.tensor([[0.0, 0.4], [1.0, 1.5]])
    same = torch.tensor([[True, True], [False, False]])
    expected = torch.tensor([[1.0, math.exp(-0.16 / 0.64)], [0.2, 0.0]])
    torch.testing.assert_close(osm_scores(distances, same), expected)
    embeddings = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    context = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    logits = [0.6, 1.6, -0.6]
    for temperature in (1.0, 0.18):
        powers = [math.exp(x / temperature) for x in logits]
        found = caa_scores(
            embeddings, context, torch.tensor([1, 2]), temperature=temperature
        )
        assert found.tolist() == pytest.approx(
            [powers[1] / sum(powers), 1 / 3], rel=1e-5
        )


@settings(max_examples=40, deadline=None)
@given(
    distances=st.lists(st.floats(0, 2), min_size=1, max_size=6),
    sigma=st.floats(0.1, 3),
    margin=st.floats(0.1, 2),
)
def test_osm_scores_equal_their_formulas(distances, sigma, margin):
    d = torch.tensor(distances, dtype=torch.float64)
    for same, formula in (
        (True, lambda x: math.exp(-(x**2) / sigma**2)),
        (False, lambda x: max(0.0, margin - x)),
    ):
        found = osm_scores(d, torch.tensor(same), sigma=sigma, margin=margin)
        assert found.tolist() == pytest.approx([formula(x) for x in distances])
        # The further apart, the less a pair counts.
        assert (found[d.argsort()].diff() <= 0).all()


def test_osm_scores_by_gradcheck():
    distances = torch.tensor([0.1, 0.6, 0.4, 1.6], dtype=torch.float64)
    same = torch.tensor([True, True, False, False])
    assert torch.autograd.gradcheck(
        lambda d: osm_scores(d, same), distances.requires_grad_()
    )


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 5),
    classes=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    temperature=st.floats(0.05, 5),
)
def test_caa_scores_equal_the_loop(m, classes, seed, temperature):
    embeddings, labels, _ = batch(m, 4, classes, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    context = torch.randn(classes, 4, generator=generator, dtype=torch.float64)
    found = caa_scores(embeddings, context, labels, temperature=temperature)
    for i in range(m):
        f = embeddings[i] / math.sqrt(float((embeddings[i] ** 2).sum()))
        powers = [math.exp(float(f @ c) / temperature) for c in context]
        assert found[i].item() == pytest.approx(powers[labels[i]] / sum(powers))
    # Over all labels that a sample could have, attention adds up to 1.
    every = [
        caa_scores(embeddings, context, torch.full((m,), k), temperature=temperature)
        for k in range(classes)
    ]
    torch.testing.assert_close(sum(every), torch.ones(m, dtype=torch.float64))


def test_attention_learns_by_gradcheck():
    embeddings, labels, _ = batch(6, 4, 3)
    context = torch.randn(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda e, c: caa_scores(e, c, labels, temperature=0.3),
        (embeddings.requires_grad_(), context.requires_grad_()),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(embeddings=torch.rand(4)), r"\(m, D\)"),
        (dict(embeddings=torch.rand(4, 2).long()), "floating-point"),
        (dict(labels=torch.zeros(3).long()), r"labels must be \(4,\)"),
        (dict(labels=torch.zeros(4)), "integers"),
        (dict(attention=torch.rand(3)), "attention must have"),
        (dict(sigma=0.0), "sigma"),
        (dict(margin=-1.0), "margin"),
        (dict(negative_weight=1.1), "negative_weight"),
        (dict(chunk_size=0), "chunk_size"),
        (dict(embeddings=torch.full((4, 2), float("nan"))), "not finite"),
        (dict(embeddings=torch.tensor([[1, math.nan]] * 4)), "not finite"),
        (
            dict(
                embeddings=torch.tensor([[math.inf, 0], [1, 1], [0, 1], [1, 0]]),
                labels=torch.arange(4),
            ),
            "not finite",
        ),
        (dict(attention=torch.full((4,), float("inf"))), "not finite"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = dict(embeddings=torch.rand(4, 2), labels=torch.tensor([0, 0, 1, 1]))
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        weighted_contrastive_loss(**arguments)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_beyond_the_context_are_named(labels):
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        caa_scores(torch.rand(2, 4), torch.rand(3, 4), torch.tensor(labels))
    with pytest.raises(ValueError, match="context must be"):
        caa_scores(torch.rand(2, 4), torch.rand(3, 5), torch.tensor([0, 1]))


def test_one_block_and_many_agree_on_a_larger_batch():
    embeddings = F.normalize(torch.randn(300, 32, dtype=torch.float64))
    labels = torch.arange(300) // 6
    one = gradients(weighted_contrastive_loss, embeddings, labels, None)
    many = gradients(weighted_contrastive_loss, embeddings, labels, None, chunk_size=64)
    for a, b in zip(one, many):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("length", [1e-21, 1e-30])
def test_a_tiny_embedding_has_finite_gradients(length):
    embeddings, labels, attention = batch(dtype=torch.float32)
    embeddings[0] *= length
    loss, gradient = gradients(weighted_contrastive_loss, embeddings, labels, attention)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 14),
    classes=st.integers(1, 14),
    seed=st.integers(0, 10**6),
    spread=st.floats(0.02, 2),
    options=st.fixed_dictionaries(
        dict(
            margin=st.floats(0.3, 2.2),
            negative_weight=st.floats(0, 1),
            chunk_size=st.none() | st.integers(1, 15),
            soft_mining=st.booleans(),
        )
    ),
    attends=st.booleans(),
)
def test_a_list_of_the_active_pairs_equals_the_blocks(
    m, classes, seed, spread, options, attends
):
    noise, labels, attention = batch(m, 5, classes, seed)
    embeddings = torch.eye(5, dtype=noise.dtype)[0] + spread * noise
    arguments = (embeddings, labels, attention if attends else None)
    found = {}
    for name in WAYS:
        with way(name):
            found[name] = gradients(weighted_contrastive_loss, *arguments, **options)
    torch.testing.assert_close(found["list"], found["blocks"], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_gradcheck_of_either_way(name, chunk_size):
    # Without mining the weights are constant, as finite differences demand.
    embeddings, labels, attention = batch(9, 4, 3, seed=3)
    options = dict(margin=1.3, soft_mining=False, chunk_size=chunk_size)
    with way(name):
        assert torch.autograd.gradcheck(
            lambda e: weighted_contrastive_loss(e, labels, attention, **options),
            embeddings.requires_grad_(),
        )


@pytest.mark.parametrize(
    ("spread", "moved", "blocks"),
    [(10.0, 0, []), (10.0, 1, [False]), (0.5, 0, [True])],
    ids=["no active pair", "one", "all"],
)
def test_the_way_is_chosen_by_the_active_pairs(spread, moved, blocks):
    noise = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    embeddings = torch.eye(256)[0] + spread * F.normalize(noise)
    embeddings[:moved] = 0.6 * embeddings[:moved] + 0.4 * embeddings[-1]
    with mock.patch.object(_pairs.Springs, "add", autospec=True) as add:
        weighted_contrastive_loss(embeddings.requires_grad_(), torch.arange(64) // 4)
    ways = [isinstance(call.args[1], _pairs.Block) for call in add.call_args_list]
    assert ways == [False, *blocks]  # first the positive pairs


def test_lists_are_summed_in_several_parts(monkeypatch):
    embeddings, labels, attention = batch(40, 5, 8)
    expected = gradients(weighted_contrastive_loss, embeddings, labels, attention)
    monkeypatch.setattr(_pairs, "_WAITING", 50)
    with way("list"):
        found = gradients(
            weighted_contrastive_loss, embeddings, labels, attention, chunk_size=7
        )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("detach_weights", [True, False])
@pytest.mark.parametrize("kind", ["a few", "all", "two places"])
def test_gradients_of_close_negatives(kind, distance, detach_weights):
    """In float32 against float64, sample by sample."""
    generator = torch.Generator().manual_seed(0)
    places = F.normalize(torch.randn(64, 128, generator=generator))
    labels = torch.arange(64) // 4
    close = slice(None)
    if kind == "a few":
        embeddings, close = torch.cat([places, places[:3]]), slice(64, None)
        labels = torch.cat([labels, torch.tensor([15, 15, 14])])
    else:
        embeddings = places[torch.arange(64) % (1 if kind == "all" else 2)]
    noise = F.normalize(torch.randn(embeddings.shape, generator=generator))
    embeddings = embeddings + distance * noise
    options = dict(detach_weights=detach_weights)
    loss, found = gradients(
        weighted_contrastive_loss, embeddings, labels, None, **options
    )
    exact_loss, exact = gradients(
        weighted_contrastive_loss, embeddings.double(), labels, None, **options
    )
    assert loss.item() == pytest.approx(exact_loss.item(), rel=1e-5)
    error = (found - exact)[close].norm(dim=1) / exact[close].norm(dim=1)
    assert error.max() < 1e-3


def test_blocks_are_larger_on_a_gpu():
    assert _pair_walk.block_rows(1024, torch.device("cpu")) == 256
    for count, rows in ((0, 2**24), (1024, 2**14), (2**20, 256)):
        assert _pair_walk.block_rows(count, torch.device("cuda")) == rows


def test_sums_are_in_float64_where_there_is_one():
    assert _pair_walk.exact_dtype(torch.device("cpu")) == torch.float64
    assert _pair_walk.exact_dtype(torch.device("mps")) == torch.float32


def test_the_gradient_has_no_gradient():
    embeddings, labels, _ = batch()
    loss = weighted_contrastive_loss(embeddings.requires_grad_(), labels)
    (gradient,) = torch.autograd.grad(loss.square(), embeddings, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_many_duplicates_do_not_amplify_rounding():
    places = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    embeddings, labels = places[torch.arange(64) % 2], torch.arange(64) // 2
    _, found = gradients(weighted_contrastive_loss, embeddings, labels, None)
    _, exact = gradients(weighted_contrastive_loss, embeddings.double(), labels, None)
    torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-7)


def test_duplicates_of_different_classes_do_not_amplify_rounding():
    row = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    embeddings = row.repeat(8, 1)
    labels = torch.arange(8) // 2
    _, gradient = gradients(weighted_contrastive_loss, embeddings, labels, None)
    assert gradient.abs().max() < 1e-4
