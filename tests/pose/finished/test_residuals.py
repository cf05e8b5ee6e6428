import pytest
import torch
from mmengine.config import Config

from semamb_mm.functional import ConsensusRows, ViewScatter
from semamb_mm.pose.finished.residuals import Residuals, compare, held_out_dataset
from tests.pose.latent_targets.test_store import make_store, view

LANDMARKS = 8


def residuals(noise, network, memorised=0.0, samples=300, seed=0):
    """Of a network that follows a share of each annotation's own error."""
    generator = torch.Generator().manual_seed(seed)
    slips = noise * torch.randn(samples, LANDMARKS, 2, generator=generator)
    found = network * torch.randn(samples, 1, 2, generator=generator)
    found = found + memorised * slips
    spread = torch.zeros(samples, LANDMARKS, 3)
    counts = torch.full((samples, LANDMARKS), 8)
    rows = ConsensusRows(slips, found.expand_as(slips), counts > 0, spread, counts)
    return Residuals(rows, ViewScatter(LANDMARKS).covariance(), torch.arange(samples))


def figures(train, held_out, groups=None):
    groups = groups or dict(all=range(LANDMARKS))
    return compare(train, held_out, groups, {}, resamples=40)


def test_noise_error_and_ratio_are_found_with_intervals():
    found = figures(residuals(0.03, 0.02, seed=1), residuals(0.03, 0.02))["all"]
    assert found.ratio.low < 1 < found.ratio.high
    for estimate, truth in ((found.noise, 0.03), (found.network, 0.02)):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.value == pytest.approx(truth * 2**0.5, rel=0.15)
        assert estimate.high - estimate.low < 0.3 * estimate.value
    assert found.targets.low > 0.2
    assert found.detector.value < 0.05  # nothing of its error is made by the noise


def test_a_network_that_memorises_has_a_small_ratio_and_something_to_gain():
    train = residuals(0.03, 0.02, memorised=0.6, seed=1)
    found = figures(train, residuals(0.03, 0.02))["all"]
    assert found.ratio.high < 0.8
    assert found.detector.low > 0.1


def test_clean_annotations_have_nothing_to_gain():
    train, held_out = residuals(0.0, 0.02, seed=1), residuals(0.0, 0.02)
    found = figures(train, held_out)["all"]
    assert found.noise.value < 1e-3 and found.detector.high < 0.01


def test_hidden_and_unsearched_landmarks_do_not_count():
    store = make_store(num=4, landmarks=5)
    store.visible[1, 2] = False
    for number in range(2):
        found = view([0, 1, 3], store.annotations[[0, 1, 3]] + 2.0, views=[number] * 3)
        store.record(found, 1e-6, move=False)
    kept = Residuals.of_store(store, ["a", "b", "b", "a"])
    assert kept.pictures.tolist()[0] == kept.pictures.tolist()[2]
    assert len(kept.pictures) == 3
    seen = kept.rows.seen()
    assert not seen[1, 2] and seen.sum() == 14
    sizes = store.face_sizes(torch.tensor([0, 1, 3]))
    expected = (8 / sizes**2).mean()
    torch.testing.assert_close(kept.squares()[0], expected.double())


def test_held_out_samples_pass_the_train_pipeline():
    steps = [dict(type="LoadImage"), dict(type="RandomFlip")]
    converter = dict(type="KeypointConverter")
    leaf = dict(type="A", pipeline=[converter])
    combined = dict(type="CombinedDataset", datasets=[leaf], pipeline=steps)
    val = dict(type="B", test_mode=True, bbox_file="boxes.json", pipeline=[])
    config = Config(
        dict(
            train_dataloader=dict(dataset=combined),
            val_dataloader=dict(dataset=dict(val, pipeline=[converter, *steps[:1]])),
        )
    )
    dataset = held_out_dataset(config, "val")
    assert [s.type for s in dataset.pipeline] == [
        "KeypointConverter", "LoadImage", "RandomFlip",
    ]  # fmt: skip
    assert not dataset.test_mode and not dataset.bbox_file
    assert config.val_dataloader.dataset.test_mode
    with pytest.raises(ValueError, match="no test_dataloader"):
        held_out_dataset(config, "test")
    config.val_dataloader.dataset = Config(dict(d=combined)).d
    with pytest.raises(ValueError, match="is a CombinedDataset.*--folds"):
        held_out_dataset(config, "val")
