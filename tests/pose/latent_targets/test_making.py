import pytest
import torch

from semamb_mm.functional import consensus_targets, temporal_targets
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.store import LatentTargetStore
from studies.network_error import simulate


def make_store(samples=12, landmarks=6, searched=10):
    """A video of four frames and still images; the last samples are not searched."""
    generator = torch.Generator().manual_seed(0)
    annotations = 50 * torch.rand(samples, landmarks, 2, generator=generator)
    visible = torch.ones(samples, landmarks)
    visible[3:4, 2] = 0
    frames = [("v", i) if i < 4 else None for i in range(samples)]
    keys = [str(i) for i in range(samples)]
    store = LatentTargetStore(keys, annotations, visible, frames)
    rows = torch.arange(searched)
    found = annotations[rows] + torch.randn(searched, landmarks, 2, generator=generator)
    store.update(rows, found, torch.ones(searched, landmarks))
    # As after two views, of which neither found landmark 4 of sample 2.
    store.counts[rows] = 2
    store.counts[2, 4] = 0
    store.found[2, 4] = store.targets[2, 4] = annotations[2, 4]
    store.spread[rows] = 0.01
    return store


def test_without_options_targets_are_what_was_found():
    store = make_store()
    before = store.targets.clone()
    TargetMaker().apply(store)
    assert torch.equal(store.targets, before)


def test_targets_are_the_functions_of_the_searched_samples():
    store = make_store()
    TargetMaker(dict(shrinkage=0.5), dict(window=2), freeze=[1]).apply(store)
    rows = torch.arange(10)
    visible = store.visible[rows].clone()
    visible[:, 1] = False
    visible[2, 4] = False
    annotations, found = (p[rows].double() for p in (store.annotations, store.found))
    size = store.face_sizes(rows)[:, None, None]
    expected = size * consensus_targets(
        annotations / size,
        found / size,
        visible=visible,
        shrinkage=0.5,
        spread=store.spread[rows] / size**2,
        counts=store.counts[rows],
    )
    expected = temporal_targets(
        expected,
        annotations,
        found,
        store.sequences[rows],
        store.frame_numbers[rows],
        window=2,
        visible=visible,
    )
    moved = torch.where(visible[..., None], expected.float(), store.found[rows])
    torch.testing.assert_close(store.targets[rows], moved)
    assert torch.equal(store.targets[10:], store.annotations[10:])
    assert torch.equal(store.targets[2, 4], store.annotations[2, 4])
    assert (store.targets[:10] != store.found[:10])[:, 2:].any((1, 2)).all()


def test_several_annotators_are_weighed_by_their_errors():
    """Targets are the function's, of all opinions, in units of the samples' sizes."""
    store = make_store(60, searched=50)
    generator = torch.Generator().manual_seed(1)
    noise = torch.tensor([0.5, 2.0]).view(2, 1, 1, 1)
    points = store.annotations + noise * torch.randn(2, 60, 6, 2, generator=generator)
    shown = torch.rand(2, 60, 6, generator=generator) < 0.9
    shown[0] |= ~shown[1]
    shown &= store.visible
    store.opinions = points, shown
    TargetMaker(dict(clip=4.0), freeze=[1]).apply(store)
    rows = torch.arange(50)
    visible = store.visible[rows] & (store.counts[rows] > 0)
    visible[:, 1] = False
    size = store.face_sizes(rows).float()[:, None, None]
    expected = size * consensus_targets(
        points[:, rows] / size,
        store.found[rows] / size,
        clip=4.0,
        visible=shown[:, rows],
        spread=store.spread[rows] / size**2,
        counts=torch.where(visible, store.counts[rows], 0),
    )
    torch.testing.assert_close(store.targets[rows][visible], expected[visible])
    assert torch.equal(store.targets[50:], store.annotations[50:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(freeze=[6]), r"\[6\] are no landmark.*0 to 5"),
        (dict(consensus=dict(strat=3)), r"consensus=.*\['strat'\]; known are.*clip"),
        (dict(consensus=dict(visible=None)), r"unknown option \['visible'\]"),
        (dict(consensus=dict(clip=0)), "clip must be positive"),
        (dict(temporal=dict(windows=3)), r"temporal=.*\['windows'\]; known.*window"),
        (dict(temporal=dict(window=-1)), "window must be"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TargetMaker(**options).check(make_store())


def test_frames_that_agree_are_counted():
    assert TargetMaker(temporal=dict()).frames_that_agree(make_store()) == 4
    with pytest.raises(ValueError, match="sequence_id.*frame_number"):
        TargetMaker(temporal=dict(window=1)).frames_that_agree(make_store())


def test_the_network_s_own_error_and_what_views_share_come_from_the_store():
    """Views that are shifted as a whole do not keep landmarks from moving."""
    observed, found, told = simulate(0.3, (0.5, 0.5, 2.0), samples=200)
    keys = [str(i) for i in range(200)]
    truth = 10 * torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    store = LatentTargetStore(keys, truth + observed, torch.ones(200, 20))
    store.found.copy_(truth + found)
    store.spread.copy_(told["spread"])
    store.counts.fill_(8)
    maker = TargetMaker(dict())
    maker.apply(store)
    assert torch.equal(store.targets, store.annotations)
    assert maker.deviations()["latent_noise"] == 0
    views = 2 * torch.randn(400, 1, 2).expand(-1, 20, -1) + 0.2 * torch.randn(
        400, 20, 2
    )
    store.scatter.update(views.double(), torch.ones(400, 20, dtype=torch.bool))
    maker.apply(store)
    error = (store.targets - truth).square().mean().sqrt()
    assert error < 0.6 * observed.square().mean().sqrt()
    sizes = store.face_sizes(torch.arange(200))
    noise, network = maker.deviations().values()
    assert abs(noise * sizes.mean() / 2**0.5 - 0.9) < 0.2
    assert network > noise
    TargetMaker().apply(store)
    assert TargetMaker().deviations() == {}
