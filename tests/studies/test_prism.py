"""studies/prism.py against loops written from the paper."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope

import semamb_mm.pretrain  # noqa: F401
from studies.prism import PRISMLoss, clean_probabilities, memory_contrastive


@pytest.fixture
def batch():
    torch.manual_seed(0)
    embeddings = F.normalize(torch.randn(6, 4, dtype=torch.float64))
    memory = F.normalize(torch.randn(9, 4, dtype=torch.float64))
    labels = torch.tensor([0, 0, 1, 1, 2, 7])
    memory_labels = torch.tensor([0, 1, 1, 2, 2, 2, 5, 5, 0])
    return embeddings, labels, memory, memory_labels


def test_probabilities_of_right_labels(batch):
    embeddings, labels, memory, memory_labels = batch
    found = clean_probabilities(*batch)
    for i, label in enumerate(labels.tolist()):
        scores = {}
        for k in set(memory_labels.tolist()):
            members = [f for f, y in zip(memory, memory_labels.tolist()) if y == k]
            scores[k] = math.exp(
                sum(float(embeddings[i] @ f) for f in members) / len(members)
            )
        expected = scores[label] / sum(scores.values()) if label in scores else 1
        assert float(found[i]) == pytest.approx(expected)


def test_an_empty_memory_doubts_no_label(batch):
    embeddings, labels, memory, memory_labels = batch
    found = clean_probabilities(embeddings, labels, memory[:0], memory_labels[:0])
    assert found.tolist() == [1] * 6


@pytest.mark.parametrize("margin", [0.1, 0.5])
@pytest.mark.parametrize("own", [False, True])
def test_contrastive_pairs(batch, margin, own):
    embeddings, labels, memory, memory_labels = batch
    others, other_labels = (embeddings, labels) if own else (memory, memory_labels)
    expected = 0.0
    for i in range(len(labels)):
        for j in range(len(other_labels)):
            cosine = float(embeddings[i] @ others[j])
            if labels[i] == other_labels[j]:
                expected += 0 if own and i == j else 1 - cosine
            elif cosine > margin:
                expected += cosine
    found = memory_contrastive(embeddings, labels, others, other_labels, margin)
    assert float(found) == pytest.approx(expected)


def test_the_threshold_is_the_mean_of_the_last_batches():
    loss = PRISMLoss(4, 100, noise_rate=0.5, window=2)
    assert loss.select(torch.ones(4)).all()
    assert not loss.thresholds
    assert loss.select(torch.tensor([0.4, 0.1, 0.2, 0.3])).tolist() == [1, 0, 0, 1]
    loss.select(torch.tensor([0.6, 0.6, 0.5, 0.5]))
    kept = loss.select(torch.tensor([0.3, 0.44, 0.46, 0.4]))
    assert list(loss.thresholds) == pytest.approx([0.5, 0.4])
    assert kept.tolist() == [0, 0, 1, 0]
    # None lies above the mean of 0.4 and 0.15: the upper half of the batch.
    assert loss.select(torch.tensor([0.1, 0.2, 0.15, 0.25])).tolist() == [0, 1, 0, 1]


def test_no_noise_leaves_out_nothing():
    loss = PRISMLoss(4, 100, noise_rate=0.0)
    assert loss.select(torch.rand(5)).all()


def test_the_memory_holds_what_seems_right_of_the_last_batches():
    loss = PRISMLoss(2, memory_size=5, noise_rate=0.25)
    right = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    loss(right, labels)
    assert loss.memory_labels.tolist() == labels.tolist()
    loss(right, torch.tensor([0, 1, 1, 1]))
    assert loss.memory_labels.tolist() == [1, 1, 0, 1, 1]
    assert loss.memory[2:].tolist() == F.normalize(right[[0, 2, 3]]).tolist()


def test_warm_up_keeps_all():
    loss = PRISMLoss(2, memory_size=8, noise_rate=0.25, warm_up=2)
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    for _ in range(2):
        loss(embeddings, torch.tensor([0, 1, 1, 1]))
    assert len(loss.memory) == 8
    loss(embeddings, torch.tensor([0, 1, 1, 1]))
    assert len(loss.thresholds) == 2


def test_wrong_labels_get_no_gradient():
    loss = PRISMLoss(2, memory_size=8, noise_rate=0.25)
    embeddings = torch.tensor(
        [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]], requires_grad=True
    )
    loss(embeddings, torch.tensor([0, 0, 1, 1]))
    loss(embeddings, torch.tensor([0, 1, 1, 1])).backward()
    moved = embeddings.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [True, False, True, True]


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"noise_rate lies in \[0, 1\), not 20"):
        PRISMLoss(2, 8, noise_rate=20)


def test_another_loss_sees_what_seems_right():
    init_default_scope("mmpretrain")
    options = dict(type="OSMCAALoss", osm=False, caa=False)
    loss = PRISMLoss(2, memory_size=8, noise_rate=0.25, loss=options)
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    loss(embeddings, torch.tensor([0, 0, 1, 1]))
    found = loss(embeddings, torch.tensor([0, 1, 1, 1]))
    kept = [0, 2, 3]
    torch.testing.assert_close(
        found, loss.loss(embeddings[kept], torch.tensor([0, 1, 1]))
    )
