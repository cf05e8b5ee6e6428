import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from semamb_mm.pose.latent_targets.warp import check_warp, input_warp
from tests.pose.augmented import BOX, FLIPS, UDP, attach_moved_store, make_dataset


@pytest.mark.parametrize("use_udp", [False, True])
@pytest.mark.parametrize(
    "augmentation", [[], [BOX], *([f] for f in FLIPS), *([f, BOX] for f in FLIPS)]
)
def test_warp_and_inverse_are_the_identity(augmentation, use_udp):
    dataset = make_dataset(
        *augmentation, use_udp=use_udp, codec=UDP if use_udp else None
    )
    store = attach_moved_store(dataset)
    codec = dataset.pipeline.transforms[-2].encoder
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        warp = input_warp(sample, use_udp=use_udp)
        check_warp(warp, sample)
        placed = sample.gt_instances.transformed_keypoints[0]
        cells = (placed / codec.scale_factor).astype(np.float32)
        back = warp.to_image(cells * codec.scale_factor)
        assert np.abs(back - store.targets[index].numpy()).max() < 1e-3
        annotated = warp.to_image(warp.to_input(store.annotations[index].numpy()))
        assert np.abs(annotated - store.annotations[index].numpy()).max() < 1e-9


def test_another_geometric_transform_is_noticed():
    @TRANSFORMS.register_module(name="ShiftLandmarksForTest", force=True)
    class Shift:
        def __call__(self, results):
            results["keypoints"] = results["keypoints"] + 3
            return results

    dataset = make_dataset(dict(type="ShiftLandmarksForTest"))
    attach_moved_store(dataset)
    sample = dataset[0]["data_samples"]
    with pytest.raises(RuntimeError, match="synthetic://.*RandomFlip"):
        check_warp(input_warp(sample), sample)
