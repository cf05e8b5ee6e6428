import numpy as np
import pytest
import torch

from semamb_mm.pose.latent_targets.saved import SavedTargets, pack_keys
from semamb_mm.pose.latent_targets.search import SearchResult
from semamb_mm.pose.latent_targets.store import LatentTargetStore


def make_store(num=4, landmarks=3, offset=0.0, **options):
    values = torch.arange(num * landmarks * 2, dtype=torch.float32) + offset
    keys = [f"face/{i}" for i in range(num)]
    visible = torch.ones(num, landmarks)
    annotations = values.view(num, landmarks, 2)
    return LatentTargetStore(keys, annotations, visible, **options)


def test_targets_start_at_the_annotations_in_shared_memory():
    store = make_store()
    assert torch.equal(store.targets, store.annotations)
    assert store.targets.data_ptr() == store.shared.targets.data_ptr()
    assert store.index["face/2"] == 2 and len(store) == 4


def test_update_takes_the_first_of_a_repeated_sample():
    store = make_store()
    targets = torch.arange(18.0).view(3, 3, 2) + 100
    store.update(torch.tensor([2, 0, 2]), targets, torch.ones(3, 3))
    assert torch.equal(store.targets[2], targets[0])
    assert torch.equal(store.targets[0], targets[1])
    assert torch.equal(store.targets[1], store.annotations[1])
    assert store.counts.tolist() == [[1] * 3, [0] * 3, [1] * 3, [0] * 3]


def test_update_passes_over_what_is_not_finite():
    store = make_store()
    targets = torch.full((1, 3, 2), 50.0)
    targets[0, 1, 0] = float("nan")
    energies = torch.tensor([[1.0, 1.0, float("inf")]])
    store.update(torch.tensor([1]), targets, energies)
    assert store.targets[1, 0].tolist() == [50, 50]
    assert torch.equal(store.targets[1, 1:], store.annotations[1, 1:])
    assert store.counts[1].tolist() == [1, 0, 0]


def view(rows, found, searched=True, views=None):
    """What a search found: every landmark of a row at ``found``."""
    found = torch.as_tensor(found, dtype=torch.float64)
    shape = found.shape[:2]
    return SearchResult(
        indices=torch.tensor(rows),
        found=found,
        energies=torch.ones(shape),
        searched=torch.as_tensor(searched).expand(shape).clone(),
        at_edge=torch.zeros(shape, dtype=torch.bool),
        views=torch.tensor(views or [0] * len(rows)),
    )


def test_sizes_of_samples_that_show_little_come_from_their_boxes():
    generator = torch.Generator().manual_seed(0)
    shape, scale = torch.rand(6, 2, generator=generator), torch.arange(1.0, 11)
    annotations = shape * scale[:, None, None]
    visible = torch.ones(10, 6)
    visible[8, 1:] = 0
    boxes = np.stack([np.float32([5, 5, 5 + 2 * s, 5 + 2 * s]) for s in scale])
    keys = [str(i) for i in range(10)]
    sizes = [
        LatentTargetStore(keys, annotations, visible, boxes=given).face_sizes(
            torch.arange(10)
        )
        for given in (boxes, None)
    ]
    per_scale = sizes[0] / scale
    torch.testing.assert_close(per_scale, per_scale[:1].expand(10))
    torch.testing.assert_close(sizes[1][:8], sizes[0][:8])
    assert sizes[1][8] == sizes[1][[0, 1, 2, 3, 4, 5, 6, 7, 9]].median()


def test_what_views_share_is_summed_and_kept():
    """In units of the face's size, at the variance of a single view."""
    generator = torch.Generator().manual_seed(0)
    store = make_store(num=200, landmarks=5)
    shape = torch.tensor([[0.0, 0], [4, 1], [2, 5], [3, 2], [1, 3]])
    store.annotations.copy_(shape * torch.linspace(10, 20, 200)[:, None, None])
    store.found.copy_(store.annotations)
    for _ in range(4):
        shift = torch.randn(200, 1, 2, generator=generator)
        own = 0.3 * torch.randn(200, 5, 2, generator=generator)
        store.record(view(list(range(200)), store.annotations + shift + own), 0.1)
    everything, alone = store.scatter.covariance().unbind(1)
    sizes = store.face_sizes(torch.arange(200))
    expected = sizes.pow(-2).mean()
    assert (everything[:, :2] / expected / 1.09 - 1).abs().max() < 0.15
    assert (alone[:, :2] / expected / 0.1125 - 1).abs().max() < 0.25
    again = LatentTargetStore(store.keys, store.annotations, store.visible)
    again.load_state_dict(store.state_dict())
    assert torch.equal(again.scatter.sums, store.scatter.sums)
    old = {k: v for k, v in store.state_dict().items() if k != "scatter"}
    again.load_state_dict(old)
    assert not again.scatter.sums.any()


def test_a_landmark_first_seen_in_the_third_view_moves_all_the_way():
    store = make_store(num=1, landmarks=2)
    found = store.annotations.double() + 6
    for searched in ([True, False], [True, False], [True, True]):
        store.record(view([0], found, searched), momentum=0.1)
    torch.testing.assert_close(store.targets, store.annotations + 6)
    assert store.counts.tolist() == [[3, 1]]


@pytest.mark.parametrize("momentum", [0.4, 0.05])
def test_spread_is_the_weighted_covariance_of_the_views(momentum):
    """Of ten views, against weights and sums written out."""
    generator = torch.Generator().manual_seed(0)
    views = 50 + torch.randn(10, 1, 2, 2, dtype=torch.float64, generator=generator)
    store = make_store(num=1, landmarks=2)
    weights = torch.zeros(10, dtype=torch.float64)
    for n, found in enumerate(views):
        store.record(view([0], found), momentum)
        share = max(momentum, 1 / (n + 1))
        weights *= 1 - share
        weights[n] = share
        mean = (weights[:, None, None] * views[:, 0]).sum(0)
        d = views[:, 0] - mean
        squares = torch.stack((d[..., 0] ** 2, d[..., 1] ** 2, d.prod(-1)), -1)
        expected = (weights[:, None, None] * squares).sum(0)
        expected = expected / (1 - weights.square().sum()).clamp(min=1e-9)
        torch.testing.assert_close(store.found[0].double(), mean, rtol=0, atol=1e-4)
        torch.testing.assert_close(
            store.spread[0].double(), expected, rtol=5e-3, atol=1e-3
        )
        worth = 1 / weights.square().sum()
        assert store.views(momentum)[0, 1].item() == pytest.approx(worth.item(), 1e-4)


def test_spread_of_a_single_view_has_no_bias():
    generator = torch.Generator().manual_seed(1)
    store = make_store(num=4000, landmarks=1)
    rows = list(range(4000))
    root = torch.tensor([[2.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    for _ in range(3):
        noise = torch.randn(4000, 1, 2, dtype=torch.float64, generator=generator)
        found = store.annotations + noise @ root.T
        store.record(view(rows, found), momentum=0.1)
    expected = torch.tensor([4.0, 1.0, 1.2])
    spread = store.spread.float().mean((0, 1))
    torch.testing.assert_close(spread, expected, rtol=0.05, atol=0)


def test_distinct_views_of_an_epoch_all_count_and_the_same_one_counts_once():
    annotation = make_store().annotations[[2, 0, 2, 2]].double()
    offsets = torch.tensor([3.0, 5.0, 0.0, 3.0])[:, None, None]
    both = view([2, 0, 2, 2], annotation + offsets, views=[1, 0, 0, 1])
    store = make_store()
    store.record(both, momentum=0.1)
    assert store.counts[:, 0].tolist() == [1, 0, 2, 0]
    moved = (store.targets - store.annotations)[:, 0, 0]
    torch.testing.assert_close(moved, torch.tensor([5.0, 0, 1.5, 0]))
    # Whatever the order in which ranks and batches hand them in.
    other, order = make_store(), [3, 1, 0, 2]
    fields = {n: getattr(both, n)[order] for n in vars(both)}
    other.record(SearchResult(**fields), momentum=0.1)
    for name in ("targets", "found", "spread", "counts"):
        assert torch.equal(getattr(store, name), getattr(other, name)), name


def test_a_checkpoint_of_version_2_loads(tmp_path):
    """As it was written before landmarks were counted one by one."""
    store = make_store()
    store.visible[1, 2] = False
    state = dict(
        version=2,
        fingerprint=store.fingerprint,
        keys=store.keys,
        annotations=store.annotations,
        visible=store.visible,
        targets=store.annotations + 1,
        found=store.annotations + 1,
        energies=torch.ones(4, 3),
        counts=torch.tensor([0, 2, 1, 0]).int(),
    )
    store.load_state_dict(state)
    assert store.counts.tolist() == [[0] * 3, [2, 2, 0], [1] * 3, [0] * 3]
    assert torch.equal(store.targets, store.annotations + 1)
    assert torch.isnan(store.spread[1, :2]).all()
    assert store.views(0.1).tolist() == [[0] * 3, [1, 1, 0], [1] * 3, [0] * 3]
    store.record(view([1], store.annotations[[1]] + 4.0), momentum=0.1)
    assert store.counts[1].tolist() == [3, 3, 0]
    # The difference of 3 from the mean of two has 3 / 2 of a view's variance.
    torch.testing.assert_close(store.spread[1, 0].float(), torch.full((3,), 6.0))


def test_state_survives_a_safely_loaded_checkpoint(tmp_path):
    store = make_store()
    store.update(torch.tensor([1]), torch.full((1, 3, 2), 7.0), torch.ones(1, 3))
    torch.save(store.state_dict(), tmp_path / "store.pth")
    state = torch.load(tmp_path / "store.pth", weights_only=True)
    other = make_store()
    other.load_state_dict(state)
    assert torch.equal(other.targets, store.targets)
    assert torch.equal(other.counts, store.counts)
    again = SavedTargets.from_state(state)
    assert torch.equal(again.targets, store.targets)
    assert again.keys == store.keys and again.index["face/2"] == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make_store(num=5), "has 5 samples, this data set 4"),
        (make_store(landmarks=2), "has 2 landmarks a sample, this data set 3"),
        (make_store(offset=0.5), "annotation of 'face/0' is another"),
    ],
)
def test_another_data_sets_state_is_refused(other, message):
    with pytest.raises(ValueError, match=message):
        make_store().load_state_dict(other.state_dict())


def test_suspects_are_kept_for_the_samples_that_they_belong_to():
    store = make_store()
    assert "suspects" not in store.state_dict()  # as in checkpoints of before
    store.suspects[2, 1] = True
    assert store.shared.suspects[2, 1]
    state = store.state_dict()
    again = make_store()
    again.load_state_dict(state)
    assert again.suspects.nonzero().tolist() == [[2, 1]]
    fewer = LatentTargetStore(
        ["face/2", "face/0"], store.annotations[[2, 0]], store.visible[[2, 0]]
    )
    fewer.adopt(SavedTargets.from_state(state), "a file")
    assert fewer.suspects.nonzero().tolist() == [[0, 1]]


def test_renamed_sample_and_other_version_are_refused():
    state = make_store().state_dict()
    keys = pack_keys(["a", "face/1", "face/2", "face/3"])
    renamed = dict(state, keys=keys, fingerprint="x")
    with pytest.raises(ValueError, match="'a' where this data set has 'face/0'"):
        make_store().load_state_dict(renamed)
    with pytest.raises(ValueError, match="version 99"):
        make_store().load_state_dict(dict(state, version=99))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        LatentTargetStore(["a", "a"], torch.zeros(2, 1, 2), torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"\(2, K, 2\)"):
        LatentTargetStore(["a", "b"], torch.zeros(3, 1, 2), torch.ones(3, 1))
    with pytest.raises(ValueError, match="visible"):
        LatentTargetStore(["a"], torch.zeros(1, 2, 2), torch.ones(1, 3))


def test_frames_of_a_video_are_one_sequence():
    frames = [("b", 3), None, ("a", 7), ("b", 1), None]
    keys = [str(i) for i in range(5)]
    store = LatentTargetStore(keys, torch.zeros(5, 1, 2), torch.ones(5, 1), frames)
    video, still, other, again, last = store.sequences.tolist()
    assert video == again and len({video, still, other, last}) == 4
    assert store.frame_numbers[[0, 2, 3]].tolist() == [3, 7, 1]
    assert len(set(make_store().sequences.tolist())) == 4
