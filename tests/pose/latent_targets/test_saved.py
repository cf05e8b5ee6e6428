import io

import pytest
import torch

from semamb_mm.pose.latent_targets.saved import (
    SavedTargets,
    pack_counts,
    pack_keys,
    unpack_keys,
)
from tests.pose.latent_targets.test_store import make_store, view


def test_keys_come_back_from_few_bytes():
    keys = [f"coco/train2017/{i:012d}.jpg#{i}" for i in range(2000)]
    packed = pack_keys(keys)
    assert unpack_keys(packed) == keys
    assert len(packed) < 10 * len(keys)


def test_a_checkpoint_holds_what_is_needed():
    store = make_store(num=4000, landmarks=10)
    everywhere = list(range(4000))
    store.record(view(everywhere, store.annotations + 1.0), 0.1, move=False)

    def size():
        file = io.BytesIO()
        torch.save(store.state_dict(), file)
        return len(file.getvalue()) / store.counts.numel()

    both = size()  # 8 each for targets and found, 6 + 2 + 1 for the rest
    assert both < 27
    store.targets.copy_(store.found)
    assert size() < both - 7.9
    saved = SavedTargets.from_state(store.state_dict())
    assert torch.equal(saved.found, store.found) and saved.annotations is None


def test_many_views_do_not_overflow():
    assert pack_counts(torch.tensor([[3, 255]]).short()).dtype == torch.uint8
    assert pack_counts(torch.tensor([[3, 256]]).short()).tolist() == [[3, 256]]
    store = make_store(num=1)
    store.counts[:] = 32767
    store.record(view([0], store.annotations + 1e6), momentum=0.5)
    assert (store.counts == 32767).all() and torch.isfinite(store.spread).all()


@pytest.mark.parametrize("version", [1, None])
def test_other_versions_are_refused(version):
    with pytest.raises(ValueError, match="reads versions 2 and 3"):
        SavedTargets.from_state(dict(make_store().state_dict(), version=version))
