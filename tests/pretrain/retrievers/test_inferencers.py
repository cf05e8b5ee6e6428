"""MMPretrain's own inferencers, with this package's retriever and configs."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain import FeatureExtractor, ImageRetrievalInferencer
from mmpretrain.apis import get_model
from mmpretrain.registry import TRANSFORMS

from tests import ROOT

CONFIG = ROOT / "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"


@pytest.fixture
def drawings(tmp_path):
    """Four drawings of 105 x 105 pixels in a folder, as Omniglot's."""
    folder = tmp_path / "drawings"
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = []
    for i in range(4):
        image = np.full((105, 105), 255, np.uint8)
        ends = rng.integers(10, 95, (3, 2))
        cv2.polylines(image, [ends.astype(np.int32)], False, 0, 4)
        paths.append(str(folder / f"{i}.png"))
        cv2.imwrite(paths[-1], image)
    return paths


@pytest.fixture
def model():
    torch.manual_seed(0)
    return get_model(str(CONFIG), pretrained=False, device="cpu")


def test_features_of_a_one_channel_config(model, drawings, tmp_path):
    """As docs/osm_caa.md calls it; the same numbers as the config's own pipeline's."""
    checkpoint = str(tmp_path / "model.pth")
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    extract = FeatureExtractor(str(CONFIG), pretrained=checkpoint, device="cpu")
    features = extract(drawings)
    pipeline = Config.fromfile(CONFIG).test_dataloader.dataset.pipeline

    steps = Compose([TRANSFORMS.build(step) for step in pipeline])
    for path, feature in zip(drawings, features, strict=True):
        inputs = steps(dict(img_path=path))["inputs"]
        assert inputs.shape == (1, 28, 28)
        data = model.data_preprocessor(dict(inputs=[inputs]))
        with torch.no_grad():
            expected = model.extract_feat(data["inputs"])[0]
        torch.testing.assert_close(feature, expected)


@pytest.mark.parametrize("how", ["folder", "list"])
def test_an_image_is_found_among_images(model, drawings, how, tmp_path):
    gallery = drawings if how == "list" else str(tmp_path / "drawings")
    inferencer = ImageRetrievalInferencer(model, prototype=gallery)
    found = inferencer(drawings[2], topk=3)[0]
    assert len(found) == 3 and found[0]["sample"]["img_path"].endswith("2.png")
    assert found[0]["match_score"] == pytest.approx(1, abs=1e-5)
