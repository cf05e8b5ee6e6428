"""studies/small_retrieval.py: images in one tensor, trained in a few seconds."""

import pytest
import torch

from studies import small_retrieval
from tests.tools.conftest import characters  # noqa: F401


@pytest.fixture
def images(characters):  # noqa: F811
    noise = dict(label_noise=0.25, noise_seed=3)
    return small_retrieval.read_images(str(characters), "small", "train", **noise)


def test_images_and_which_labels_are_wrong(images, characters):  # noqa: F811
    count = len(images.labels)
    assert images.pixels.shape == (count, 1, 28, 28)
    assert images.pixels.min() >= 0 and images.pixels.max() <= 1
    assert images.wrong.sum() == round(0.25 * count)
    clean = small_retrieval.read_images(str(characters), "small", "train")
    assert not clean.wrong.any()
    assert ((clean.labels != images.labels) == images.wrong).all()


def test_augmentation_moves_each_image_a_little():
    torch.manual_seed(0)
    square = torch.zeros(64, 1, 28, 28)
    square[:, :, 8:20, 8:20] = 1
    moved = small_retrieval.augment(square)
    changed = (moved - square).abs().mean(dim=(1, 2, 3))
    assert changed.min() > 0 and changed.max() < 0.15
    assert len(changed.unique()) == 64
    mass = moved.sum(dim=(1, 2, 3)) / 144
    assert mass.min() > 0.8 and mass.max() < 1.2


def test_a_turn_keeps_shapes(monkeypatch):
    """Without shear and shift a disk stays what it is."""
    x = torch.arange(28) - 13.5
    disk = (x[:, None] ** 2 + x**2 < 64).float().expand(1, 1, 28, 28)
    draws = iter([torch.tensor([[1.0], [0.5]]), torch.tensor([[0.5], [0.5]])])
    monkeypatch.setattr(small_retrieval.torch, "rand", lambda *size: next(draws))
    turned = small_retrieval.augment(disk)
    assert (turned - disk).abs().mean() < 0.02


def test_the_network_gives_a_vector_for_an_image():
    network = small_retrieval.SmallConvNet((2, 4, 4, 8))
    assert network(torch.rand(3, 1, 28, 28)).shape == (3, 8)
