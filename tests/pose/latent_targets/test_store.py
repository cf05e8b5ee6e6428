import pytest
import torch

from semamb_mm.pose.latent_targets.store import LatentTargetStore


def make_store(num=4, landmarks=3, offset=0.0):
    values = torch.arange(num * landmarks * 2, dtype=torch.float32) + offset
    keys = [f"face/{i}" for i in range(num)]
    visible = torch.ones(num, landmarks)
    return LatentTargetStore(keys, values.view(num, landmarks, 2), visible)


def test_targets_start_at_the_annotations_in_shared_memory():
    store = make_store()
    assert torch.equal(store.targets, store.annotations)
    assert store.targets.is_shared() and store.energies.is_shared()
    assert store.index["face/2"] == 2 and len(store) == 4


def test_update_takes_the_first_of_a_repeated_sample():
    store = make_store()
    targets = torch.arange(18.0).view(3, 3, 2) + 100
    store.update(torch.tensor([2, 0, 2]), targets, torch.ones(3, 3))
    assert torch.equal(store.targets[2], targets[0])
    assert torch.equal(store.targets[0], targets[1])
    assert torch.equal(store.targets[1], store.annotations[1])
    assert store.counts.tolist() == [1, 0, 1, 0]


def test_update_passes_over_what_is_not_finite():
    store = make_store()
    targets = torch.full((1, 3, 2), 50.0)
    targets[0, 1, 0] = float("nan")
    energies = torch.tensor([[1.0, 1.0, float("inf")]])
    store.update(torch.tensor([1]), targets, energies)
    assert store.targets[1, 0].tolist() == [50, 50]
    assert torch.equal(store.targets[1, 1:], store.annotations[1, 1:])


def test_state_survives_a_safely_loaded_checkpoint(tmp_path):
    store = make_store()
    store.update(torch.tensor([1]), torch.full((1, 3, 2), 7.0), torch.ones(1, 3))
    torch.save(store.state_dict(), tmp_path / "store.pth")
    state = torch.load(tmp_path / "store.pth", weights_only=True)
    other = make_store()
    other.load_state_dict(state)
    assert torch.equal(other.targets, store.targets)
    assert torch.equal(other.counts, store.counts)
    again = LatentTargetStore.from_state_dict(state)
    assert torch.equal(again.targets, store.targets)
    assert again.keys == store.keys


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make_store(num=5), "has 5 samples, this data set 4"),
        (make_store(landmarks=2), "has 2 landmarks a sample, this data set 3"),
        (make_store(offset=0.5), r"annotation of 'face/0', landmark 0, was \[0.5"),
    ],
)
def test_another_data_sets_state_is_refused(other, message):
    with pytest.raises(ValueError, match=message):
        make_store().load_state_dict(other.state_dict())


def test_renamed_sample_and_other_version_are_refused():
    state = make_store().state_dict()
    renamed = dict(state, keys=["a", *state["keys"][1:]], fingerprint="x")
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
