import json

import numpy as np
import pytest
import torch

from semamb_mm.pose.latent_targets.targets_file import read_targets, write_targets
from tests.pose.latent_targets.test_store import make_store, view


def searched_store():
    """Four samples, searched in three views."""
    store = make_store(num=4, landmarks=5)
    noise = torch.randn(3, 4, 5, 2, generator=torch.Generator().manual_seed(0))
    for number, moved in enumerate(noise):
        found = view(range(4), store.annotations + moved, views=[number] * 4)
        store.record(found, 1e-6)
    return store


def write(path, store, **changes):
    """A file as a user's own program writes it."""
    arrays = dict(
        keys=np.array(store.keys),
        annotations=store.annotations.numpy(),
        targets=store.targets.numpy() + 1,
    )
    np.savez(path, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})


def test_a_file_brings_all_of_a_store_back(tmp_path):
    store, path = searched_store(), tmp_path / "targets.npz"
    store.targets[0, 0] += 3
    write_targets(path, store, dict(tool="this test"))
    fresh = make_store(num=4, landmarks=5)
    saved = read_targets(path)
    fresh.adopt(saved, "targets.npz")
    assert json.loads(saved.made_by) == dict(tool="this test")
    for name in ("targets", "found", "energies", "counts", "spread"):
        assert torch.equal(getattr(fresh, name), getattr(store, name)), name
    assert torch.equal(fresh.scatter.sums, store.scatter.sums)
    assert [p.name for p in tmp_path.iterdir()] == ["targets.npz"]


def test_a_checkpoint_is_a_file_of_targets(tmp_path):
    store, path = searched_store(), tmp_path / "epoch_2.pth"
    torch.save(dict(state_dict={}, latent_targets=store.state_dict()), path)
    fresh = make_store(num=4, landmarks=5)
    fresh.adopt(read_targets(path), str(path))
    assert torch.equal(fresh.targets, store.targets)
    assert torch.equal(fresh.scatter.sums, store.scatter.sums)
    torch.save(dict(state_dict={}), path)
    with pytest.raises(ValueError, match="epoch_2.pth holds no latent targets"):
        read_targets(path)


def test_samples_are_found_by_key_in_any_order_and_there_may_be_more(tmp_path):
    store, path = make_store(num=6), tmp_path / "own.npz"
    order = [5, 0, 3, 1, 4, 2]
    write(
        path,
        store,
        keys=np.array(store.keys)[order],
        annotations=store.annotations[order].numpy(),
        targets=store.annotations[order].numpy() + 1,
    )
    fewer = make_store(num=4)
    fewer.visible[2, 1] = False
    fewer.adopt(read_targets(path), "own.npz")
    expected = fewer.annotations + 1
    expected[2, 1] -= 1  # hidden
    assert torch.equal(fewer.targets, expected)
    assert (fewer.counts == 0).all() and (fewer.spread == 0).all()


def test_other_data_is_told_with_sample_and_file(tmp_path):
    store, path = make_store(), tmp_path / "own.npz"
    write(path, store)
    saved = read_targets(path)
    with pytest.raises(
        ValueError, match="own.npz has no targets for .*'face/4'.* 1 of"
    ):
        make_store(num=5).adopt(saved, "own.npz")
    with pytest.raises(ValueError, match="of 3 landmarks, sample 'face/0' .* has 2"):
        make_store(landmarks=2).adopt(saved, "own.npz")
    other = make_store()
    other.annotations[2, 1, 0] += 0.01
    with pytest.raises(ValueError, match="own.npz has targets of another .*'face/2'"):
        other.adopt(saved, "own.npz")
    state = dict(state_dict={}, latent_targets=store.state_dict())
    torch.save(state, tmp_path / "a.pth")  # which knows annotations by their hash
    with pytest.raises(ValueError, match="a.pth has targets of another .*'face/2'"):
        other.adopt(read_targets(tmp_path / "a.pth"), "a.pth")
    other.visible[2, 1] = False
    other.adopt(saved, "own.npz")
    lost = store.targets.numpy().copy()
    lost[1, 0, 0] = np.nan
    write(path, store, targets=lost)
    with pytest.raises(ValueError, match="not finite, of sample 'face/1'"):
        make_store().adopt(read_targets(path), "own.npz")


def test_files_that_are_none_are_told(tmp_path):
    store, path = make_store(), tmp_path / "own.npz"
    write(path, store, annotations=None)
    with pytest.raises(ValueError, match=r"own.npz .*lacks \['annotations'\]"):
        read_targets(path)
    write(path, store, spread=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"spread is \(4, 3\), expected \(4, 3, 3\)"):
        read_targets(path)
    with pytest.raises(SystemExit, match="targets file .*nowhere.npz does not exist"):
        read_targets(tmp_path / "nowhere.npz")


def test_nothing_is_unpickled(tmp_path):
    store, path = make_store(), tmp_path / "own.npz"
    write(path, store, keys=np.array(store.keys, dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_targets(path)
