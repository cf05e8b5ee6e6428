"""The reference: every registered component's example, run as it stands there.

The lines are written below the config that they are for, and what comes out is built
and used. The files that they name are small ones of the right layout.
"""

import copy
import functools
import inspect
import json
import re
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import registry as stock
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from mmpose.registry import DATASETS, METRICS, MODELS
from mmpretrain.registry import DATASETS as RETRIEVAL_DATASETS
from mmpretrain.registry import METRICS as RETRIEVAL_METRICS
from mmpretrain.registry import MODELS as RETRIEVERS
from mmpretrain.structures import DataSample

from semamb_mm.formats.layout_300vw import SPLITS
from semamb_mm.pose.latent_targets.samples import build_store
from semamb_mm.pose.latent_targets.targets_file import write_targets
from tests import ROOT
from tests.contracts.test_fixed_names import registered
from tests.pose.hooks.test_latent_target_hook import hook_of
from tests.pretrain.datasets.test_omniglot import make_folders
from tests.test_docs import PAGES, read
from tests.trees import retrieval
from tests.trees.coco_style import annotations_of, write_stock_data
from tests.trees.faces import write_300w
from tests.trees.videos import extract, write_tree

PACKAGES = ("mmpose", "mmpretrain")
BODIES = "mmpose::body_2d_keypoint/"
FACES = "mmpose::face_2d_keypoint/topdown_heatmap/300w/"
FACES += "td-hm_hrnetv2-w18_8xb64-60e_300w-256x256.py"
PRODUCTS = "mmpretrain::arcface/resnet50-arcface_8xb32_inshop.py"
SMALL = str(ROOT / "configs/semantic_alignment/slim-hourglass_plain_synthetic-96x96.py")
BIRDS = str(ROOT / "configs/osm_caa/resnet50_osm-caa_cub-224x224.py")
# What an example's lines are for, if neither FACES nor PRODUCTS.
BASES = dict(
    SemanticAlignmentCPMHead=f"{BODIES}topdown_heatmap/coco/"
    "td-hm_hourglass52_8xb32-210e_coco-256x256.py",
    SemanticAlignmentMSPNHead=f"{BODIES}topdown_heatmap/coco/"
    "td-hm_mspn50_8xb32-210e_coco-256x192.py",
    SemanticAlignmentViPNASHead=f"{BODIES}topdown_heatmap/coco/"
    "td-hm_vipnas-mbv3_8xb64-210e_coco-256x192.py",
    SemanticAlignmentRTMCCHead="mmpose::face_2d_keypoint/rtmpose/wflw/"
    "rtmpose-m_8xb64-60e_wflw-256x256.py",
    SemanticAlignmentRTMWHead="mmpose::wholebody_2d_keypoint/rtmpose/cocktail14/"
    "rtmw-m_8xb1024-270e_cocktail14-256x192.py",
    SemanticAlignmentSimCCHead=f"{BODIES}simcc/coco/"
    "simcc_res50_8xb64-210e_coco-256x192.py",
    FrozenDetectorEstimator=SMALL,
    RollNormalizedEstimator=SMALL,
    RollNormalizedFrozenEstimator=SMALL,
    HeatmapFailures=str(ROOT / "configs/ghcu/slim-hourglass_ghcu_synthetic-96x96.py"),
    OSMCAALoss=BIRDS,
    PytorchMetricLearningLoss=BIRDS,
)
BASES["SlimHourglassNet"] = BASES["SemanticAlignmentCPMHead"]
# The same of the lines on pages of the docs.
PAGE_BASES = {
    "docs/datasets.md": "mmpose::face_2d_keypoint/topdown_heatmap/aflw/"
    "td-hm_hrnetv2-w18_8xb64-60e_aflw-256x256.py",
    "docs/ghcu.md": SMALL,
    "docs/osm_caa.md": PRODUCTS,
}
# Channels, height and width of the features that these configs' heads get.
FEATURES = dict(
    SemanticAlignmentCPMHead=[(256, 64, 64)],
    SemanticAlignmentViPNASHead=[(160, 8, 6)],
    SemanticAlignmentRTMCCHead=[(768, 8, 8)],
    SemanticAlignmentRTMWHead=[(384, 16, 12), (768, 8, 6)],
    SemanticAlignmentSimCCHead=[(2048, 8, 6)],
    HeatmapFailures=[(48, 24, 24)],
)


def components():
    """Name to package, registry and class."""
    for package in PACKAGES:
        registries = __import__(f"{package}.registry", fromlist=["registry"])
        for kind, names in registered(package).items():
            for name in names:
                yield name, (package, kind, getattr(registries, kind).get(name))


COMPONENTS = dict(components())


def examples(cls):
    """Lines for a config in a class's own docstring."""
    text = inspect.cleandoc(vars(cls)["__doc__"] or "")
    section = re.search(r"^Example:\n((?:(?: .*)?\n)*)", text + "\n", re.M)
    if section is None:
        return []
    lines = inspect.cleandoc("\n" + section[1])
    return re.findall(r"^```python\n(.*?)^```$", lines, re.M | re.S)


@functools.cache
def small():
    """The config of a detector that trains in a moment; copy it."""
    return Config.fromfile(SMALL)


@pytest.fixture(scope="module")
def inherited(tmp_path_factory):
    """Configs that several examples are for to a file of all that these inherit."""
    folder, files = tmp_path_factory.mktemp("bases"), {}
    for number, config in enumerate((FACES, PRODUCTS, BIRDS)):
        path = folder / f"inherits{number}.py"
        path.write_text(f"_base_ = {config!r}\n")
        files[config] = str(folder / f"flat{number}.py")
        Config.fromfile(path).dump(files[config])
    files[SMALL] = str(folder / "small.py")
    small().dump(files[SMALL])
    return files


def write_mice(folder, source):
    """The annotations of two people, in a file each and in one of both."""
    both = [
        dict(dataset=dict(source, ann_file=f"{name}.json")) for name in ("anna", "ben")
    ]
    config = Config(dict(train_dataloader=both[0], val_dataloader=both[1]))
    write_stock_data(folder, config, num_keypoints=17)
    content = annotations_of(17, 4)
    content["annotations"] = [
        dict(mark, id=2 * mark["id"] + number, annotator=name)
        for mark in content["annotations"]
        for number, name in enumerate(("anna", "ben"))
    ]
    (folder / source["data_root"] / "all.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A user's folder, with everything that the examples name."""
    folder = tmp_path_factory.mktemp("user")
    root = folder / "data"
    write_300w(root / "300w")
    write_mice(folder, dict(data_root="data/mice", data_prefix=dict(img="images/")))
    videos = root / "300vw"
    first, *others = sorted({*SPLITS["train"], *SPLITS["test"]})
    write_tree(videos, {first: 3})
    extract(videos, first, (1, 2, 3))
    for video in others:
        shutil.copytree(videos / first, videos / video)
    retrieval.make_cub(root / "CUB_200_2011", classes=8)
    retrieval.make_cars(root / "cars196")
    retrieval.make_inshop(root / "inshop", items=16)
    retrieval.make_sop(root / "Stanford_Online_Products")
    retrieval.make_lpw(root / "pep_256x128")
    retrieval.make_mars(root / "mars")
    retrieval.make_market1501(root / "Market-1501-v15.09.15")
    make_folders(root / "omniglot")
    return folder


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_has_an_example_that_works(name, inherited, data, monkeypatch):
    package, kind, cls = COMPONENTS[name]
    monkeypatch.chdir(data)
    # Data sets look through all of this process's memory when they are built.
    monkeypatch.setattr("gc.collect", lambda: 0)
    init_default_scope(package)
    torch.manual_seed(0)
    lines = examples(cls)
    assert lines, f"{cls.__module__}.{name}: no Example with lines for a config"
    base = BASES.get(name, FACES if package == "mmpose" else PRODUCTS)
    base = inherited.get(base, base)
    for number, code in enumerate(lines):
        assert f"type='{name}'" in code
        path = data / f"{name}_{number}.py"
        path.write_text(f"_base_ = {base!r}\n{code}")
        use = USES.get(name) or USES[package, kind]
        use(Config.fromfile(path), cls)


def test_all_lines_for_a_config_are_of_a_component():
    """Others would not be run."""
    paths = (ROOT / "semamb_mm").rglob("*.py")
    found = sum(path.read_text(encoding="utf-8").count("```python") for path in paths)
    assert found == sum(len(examples(cls)) for _, _, cls in COMPONENTS.values())


def lines_of(page):
    """Lines for a config on a page of the docs, but those that other tests run."""
    blocks = re.findall(
        r"(?<!-->\n)^ *```python\n(.*?)^ *```$", read(page), re.M | re.S
    )
    for block in map(textwrap.dedent, blocks):
        if "dict(" in block and not re.search(r"^(import|from) ", block, re.M):
            yield block


@pytest.mark.parametrize("page", [page for page in PAGES if any(lines_of(page))])
def test_lines_for_a_config_in_the_docs_are_taken(page, inherited, data, monkeypatch):
    """What is built of them has the arguments that they give."""
    monkeypatch.chdir(data)
    monkeypatch.setattr("gc.collect", lambda: 0)
    base = PAGE_BASES.get(page, FACES)
    Path("my_config.py").write_text(f"_base_ = {inherited[FACES]!r}\n")
    for number, code in enumerate(lines_of(page)):
        path = data / f"page_{number}.py"
        above = "" if code.startswith("_base_") else inherited.get(base, base)
        path.write_text(f"_base_ = {above!r}\n{code}" if above else code)
        config = Config.fromfile(path)
        init_default_scope("mmpretrain" if base == PRODUCTS else "mmpose")
        stock.MODELS.build(config.model.head)
        for hook in config.get("custom_hooks", ()):
            stock.HOOKS.build(hook)
        evaluators = config.val_evaluator
        for metric in evaluators if isinstance(evaluators, list) else [evaluators]:
            stock.METRICS.build(metric)
        stock.DATASETS.build(dict(config.train_dataloader.dataset, lazy_init=True))


def use_dataset(config, cls):
    """The first sample goes through the pipeline."""
    pose = cls.__module__.startswith("semamb_mm.pose.")
    registry = DATASETS if pose else RETRIEVAL_DATASETS
    dataset = registry.build(config.train_dataloader.dataset)
    assert type(dataset) is cls and len(dataset) > 0
    sample = dataset[0]
    assert torch.is_tensor(sample["inputs"]) and "data_samples" in sample


def faces(pipeline, **options):
    """A few procedural faces."""
    options = dict(options, num_samples=2, image_size=64, pipeline=pipeline)
    return DATASETS.build(dict(type="SyntheticFaceDataset", **options))


def use_face_transform(config, cls):
    """A face goes through the pipeline that it stands in."""
    dataset = faces(config.train_dataloader.dataset.pipeline)
    assert any(type(step) is cls for step in dataset.pipeline.transforms)
    assert dataset[0]["inputs"].shape == (3, 256, 256)


def use_crop(config, cls):
    """A bird's box, (4, 2) to (24, 12), is what is left."""
    dataset = RETRIEVAL_DATASETS.build(config.train_dataloader.dataset)
    crop = Compose(dataset.pipeline.transforms[:2])(dataset.get_data_info(0))
    assert type(dataset.pipeline.transforms[1]) is cls
    assert crop["img"].shape == (10, 20, 3)
    assert torch.is_tensor(dataset[0]["inputs"])


def head_features(head, name):
    """Random numbers of the sizes that the config's backbone gives the head."""
    if name == "SemanticAlignmentMSPNHead":
        sizes = [(head.unit_channels, 8 * 2**i, 6 * 2**i) for i in range(4)]
        return [[torch.rand(1, *size) for size in sizes]] * head.num_stages
    return [torch.rand(1, *size) for size in FEATURES.get(name, [(270, 64, 64)])]


def use_head(config, cls):
    """Loss and prediction, of features of the sizes that the config's head gets."""
    head = MODELS.build(config.model.head)
    assert any(isinstance(module, cls) for module in head.modules())
    target = next(t for t in config.train_pipeline if t.type == "GenerateTarget")
    codec = target.encoder[-1] if target.get("multilevel") else target.encoder
    width, height = codec.input_size
    count = config.model.head.out_channels
    points = np.random.default_rng(0).uniform(32, 160, (1, count, 2))
    sample = dict(
        img=np.zeros((height, width, 3), np.uint8),
        input_size=(width, height),
        input_center=np.array([width / 2, height / 2]),
        input_scale=np.array([width, height]),
        dataset_keypoint_weights=np.ones(count, np.float32),
        flip_indices=list(range(count)),
        keypoints=points.astype(np.float32),
        transformed_keypoints=points.astype(np.float32),
        keypoints_visible=np.ones((1, count), np.float32),
    )
    pack = Compose([target, config.train_pipeline[-1]])
    samples = [pack(sample)["data_samples"]]
    features = head_features(config.model.head, cls.__name__)
    losses = head.loss(features, samples, train_cfg={})
    assert all(torch.isfinite(value).all() for value in losses.values())
    (found,) = head.eval().predict(features, samples, test_cfg={})
    assert found.keypoints.shape == (1, count, 2)


def use_backbone(config, cls):
    """A whole model's heatmaps have the size that its targets have."""
    target = next(t for t in config.train_pipeline if t.type == "GenerateTarget")
    model = MODELS.build(config.model)
    assert type(model.backbone) is cls
    maps = model(torch.rand(1, 3, 256, 256), None, mode="tensor")
    width, height = target.encoder.heatmap_size
    assert maps[0].shape == (1, 17, height, width)


def train(config):
    """One iteration on two faces."""
    config.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False
    )
    config.train_dataloader.dataset.update(num_samples=2, image_size=64)
    for part in ("val", "test"):
        for key in ("dataloader", "evaluator", "cfg"):
            config[f"{part}_{key}"] = None
    config.train_cfg = dict(by_epoch=True, max_epochs=1)
    config.work_dir = "work"
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def use_hook(config, cls):
    """A training with it, on a small detector, whose search starts at once."""
    detector = copy.deepcopy(small())
    detector.train_dataloader.dataset.update(num_samples=2, image_size=64)
    store = build_store(DATASETS.build(detector.train_dataloader.dataset))
    write_targets("targets.npz", store, {})
    Path("audit").mkdir(exist_ok=True)
    Path("audit/landmarks.csv").write_text(f"sample,landmark\n{store.keys[1]},3\n")
    detector.custom_hooks = config.custom_hooks
    for hook in detector.custom_hooks:
        hook.update(start=0) if "start" in hook else None
    runner = train(detector)
    assert any(type(hook) is cls for hook in runner.hooks)
    searches = "targets" not in detector.custom_hooks[1]
    assert hook_of(runner).store.counts.amax() == searches


def use_estimator(config, cls):
    """Loss and predictions, with the detector's checkpoint if one is named."""
    model = MODELS.build(config.model)
    assert type(model) is cls
    if config.load_from is not None:
        path = Path(config.load_from)
        path.parent.mkdir(parents=True, exist_ok=True)
        detector = MODELS.build(small().model)
        torch.save(dict(state_dict=detector.state_dict()), path)
        load_checkpoint(model, config.load_from)
    batch = faces(config.train_dataloader.dataset.pipeline)[0]
    losses = model.train()(**packed(model, batch), mode="loss")
    assert all(torch.isfinite(value).all() for value in losses.values())
    batch = faces(config.val_pipeline)[0]
    (found,) = model.eval()(**packed(model, batch), mode="predict")
    assert found.pred_instances.keypoints.shape == (1, 68, 2)


def packed(model, sample):
    """A batch of one sample."""
    batch = {name: [value] for name, value in sample.items()}
    return model.data_preprocessor(batch, model.training)


def use_video_sampler(config, cls):
    """An epoch has a part of the frames."""
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(config.train_dataloader)
    assert type(loader.sampler) is cls
    rows = list(loader.sampler)
    assert 0 < len(rows) < len(loader.dataset) and max(rows) < len(loader.dataset)


def use_identity_sampler(config, cls):
    """A batch has four images of each of sixteen classes."""
    config.train_dataloader.num_workers = 0
    config.train_dataloader.dataset.type = "InShopRetrieval"
    loader = Runner.build_dataloader(config.train_dataloader)
    batches = loader.batch_sampler
    assert cls in (type(batches), type(batches.sampler))
    batch = next(iter(batches))
    counts = np.bincount([loader.dataset.get_data_info(i)["gt_label"] for i in batch])
    assert counts.tolist() == [4] * 16


def use_face_metric(config, cls):
    """Predictions half a box away are measured."""
    dataset = config.val_dataloader.dataset
    if dataset.type == "Face300WDataset":
        dataset = faces(dataset.pipeline, annotation="truth", test_mode=True)
    else:
        dataset = DATASETS.build(dataset)
    samples = [dataset[i]["data_samples"].to_dict() for i in range(2)]
    for sample in samples:
        truth = sample["gt_instances"]["keypoints"]
        sample["pred_instances"] = dict(keypoints=truth + 1)
    metric = METRICS.build(config.val_evaluator)
    assert type(metric) is cls
    metric.process({}, samples)
    assert metric.evaluate(2)["NME/inter_ocular"] > 0


def images_of_two_classes(count=4):
    return [DataSample().set_gt_label(i % 2) for i in range(count)]


def use_retriever(config, cls):
    """It is trained, and gives embeddings."""
    config.model.image_encoder[0].init_cfg = None
    model = RETRIEVERS.build(config.model)
    assert type(model) is cls
    losses = model(torch.rand(4, 3, 32, 32), images_of_two_classes(), mode="loss")
    assert torch.isfinite(losses["loss"])
    (found,) = model.eval()(torch.rand(1, 3, 32, 32), mode="predict")
    assert found.embedding.shape == (2048,)


def use_retrieval_head(config, cls):
    """Its loss, of the features of a ResNet-50."""
    head = RETRIEVERS.build(config.model.head)
    assert any(type(module) is cls for module in head.modules())
    losses = head.loss((torch.rand(4, 2048),), images_of_two_classes())
    assert torch.isfinite(losses["loss_metric"])


def use_tracklets(config, cls):
    """A batch of two tracklets of four frames goes through the model's parts."""
    options = config.model.get("data_preprocessor") or config.data_preprocessor
    frames = [torch.zeros(4, 3, 32, 32, dtype=torch.uint8)] * 2
    batch = dict(inputs=frames, data_samples=images_of_two_classes(2))
    images = RETRIEVERS.build(options)(batch, training=True)["inputs"]
    assert images.shape == (8, 3, 32, 32)
    if cls.__name__ == "TrackletPooling":
        neck = RETRIEVERS.build(config.model.image_encoder[-1])
        (pooled,) = neck((torch.rand(8, 2048),))
        assert type(neck) is cls and pooled.shape == (2, 2048)


def use_retrieval_metric(config, cls):
    """Of data samples with embeddings, those of MARS if the lines say so."""
    samples = [dict(gt_label=torch.tensor([i % 2])) for i in range(4)]
    if cls.__name__ == "TrackletRetrievalMetric":
        dataset = RETRIEVAL_DATASETS.build(config.val_dataloader.dataset)
        samples = [dataset[i]["data_samples"].to_dict() for i in range(len(dataset))]
    metric = RETRIEVAL_METRICS.build(config.val_evaluator)
    assert type(metric) is cls
    metric.process({}, [dict(s, embedding=torch.rand(8)) for s in samples])
    assert any(name.endswith("mAP") for name in metric.evaluate(len(samples)))


# How a registry's components are used, and those that are used in another way.
USES = {
    ("mmpose", "DATASETS"): use_dataset,
    ("mmpose", "DATA_SAMPLERS"): use_video_sampler,
    ("mmpose", "HOOKS"): use_hook,
    ("mmpose", "METRICS"): use_face_metric,
    ("mmpose", "MODELS"): use_head,
    ("mmpose", "TRANSFORMS"): use_face_transform,
    ("mmpretrain", "DATASETS"): use_dataset,
    ("mmpretrain", "DATA_SAMPLERS"): use_identity_sampler,
    ("mmpretrain", "METRICS"): use_retrieval_metric,
    ("mmpretrain", "MODELS"): use_retrieval_head,
    ("mmpretrain", "TRANSFORMS"): use_crop,
    "SlimHourglassNet": use_backbone,
    "FrozenDetectorEstimator": use_estimator,
    "RollNormalizedEstimator": use_estimator,
    "RollNormalizedFrozenEstimator": use_estimator,
    "EmbeddingRetriever": use_retriever,
    "TrackletDataPreprocessor": use_tracklets,
    "TrackletPooling": use_tracklets,
}
