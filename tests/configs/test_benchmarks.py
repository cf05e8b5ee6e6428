"""The paper's benchmarks train on two faces and test, on tiny official trees.

The 4-stack hourglass takes many seconds an image on a CPU. One config runs with all of
its channels, on small images; the others, whose network differs in the number of
landmarks alone, with narrow layers on images of 256 x 256 (stacks and all else the
same). All are built as they are.
"""

import shutil
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, save_checkpoint
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import DATASETS, MODELS

import semamb_mm.pose  # noqa: F401
from semamb_mm.formats import aflw_list
from semamb_mm.formats.layout_300vw import SPLITS
from tests import ROOT
from tests.trees.faces import AFLW_TRAIN, write_300w, write_aflw
from tests.trees.videos import write_tree
from tools.dataset_converters import convert_aflw

CONFIGS = sorted(
    path
    for path in (ROOT / "configs").glob("[!_]*/*.py")
    if path.stem.startswith(("hourglass4_", "hrnetv2-w18_"))
    if "two-annotators" not in path.stem  # test_two_annotators.py
)
# Their networks run as they are, on images of a fourth of the size.
SMALL_IMAGES = ("hourglass4_sa_300w-256x256", "hrnetv2-w18_sa_300w-256x256")
# Faces to test on: some of every group.
TESTED = {"300w": [0, 2], "300vw": [0, 1, 2, 120, 170], "aflw": [0, 1]}
FIGURES = {
    "300w": ["common/NME/inter_pupil", "challenge/NME/inter_pupil", "NME/inter_ocular"],
    "300vw": [f"category{i}/NME/inter_pupil" for i in (1, 2, 3)] + ["NME/inter_pupil"],
    "aflw": ["NME/bbox_size", "NME/bbox_size/brows"],
}
# AFLW's own data set in MMPose gives faces a box that GetBBoxCenterScale warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use the existing:UserWarning:mmpose")


def data_set(path):
    return path.stem.split("_")[2].split("-")[0]


def write_aflw_json(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aflw_list, "NUM_TRAIN", AFLW_TRAIN)
        patch.setattr(sys, "argv", ["convert_aflw", str(root), "--workers", "1"])
        convert_aflw.main()


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Data set to its tree, as handed out, AFLW converted."""
    folder = tmp_path_factory.mktemp("data")
    init_default_scope("mmpose")
    videos = dict.fromkeys(SPLITS["train"] + SPLITS["test"], 3)
    roots = {
        "300w": write_300w(folder / "300w"),
        "300vw": write_tree(folder / "300vw", videos),
        "aflw": write_aflw(folder / "aflw"),
    }
    write_aflw_json(roots["aflw"])
    return roots


@pytest.fixture
def load(roots, monkeypatch):
    """``load(path)``: a config whose data root is the tree."""

    def read(path):
        monkeypatch.setenv("DATA_ROOT", str(roots[data_set(path)]))
        init_default_scope("mmpose")
        return Config.fromfile(str(path))

    return read


def make_narrow(model):
    slim = dict(type="SlimHourglassNet", stem_stride=4, feat_channel=16)
    model.backbone.update(slim, stage_channels=(16,) * 5)
    model.head.update(in_channels=16, deconv_out_channels=(16, 16))


def make_images_small(cfg):
    """Heatmaps become smaller in proportion; their peaks stay as wide in cells."""
    sizes = ("input_size", "heatmap_size")
    small = {size: tuple(side // 4 for side in cfg.codec[size]) for size in sizes}
    cfg.model.head.decoder.update(small)
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    for step in (step for loader in loaders for step in loader.dataset.pipeline):
        if step.type == "TopdownAffine":
            step.input_size = small["input_size"]
        elif step.type == "GenerateTarget":
            step.encoder.update(small)


def make_small(cfg, path, folder):
    """Two training faces, a few test faces, no worker processes."""
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.indices = [0, 1]
    tested = TESTED[data_set(path)]
    cfg.test_dataloader.dataset.indices = tested
    stride = cfg.val_dataloader.dataset.get("stride")
    cfg.val_dataloader.dataset.indices = [0, 40, 60] if stride else tested
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(folder)
    cfg.default_hooks.checkpoint = None
    cfg.visualizer.vis_backends = []
    for hook in cfg.custom_hooks:
        if hook.type == "LatentTargetHook":
            hook.start = 0
    if path.stem in SMALL_IMAGES:
        make_images_small(cfg)
        cfg.train_dataloader.batch_size = 2  # the inmost layer has a single cell
    else:
        make_narrow(cfg.model)
        cfg.model.test_cfg.flip_test = False
    if "plain" not in path.stem:  # they validate as these do
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if path.stem.startswith("hrnet"):
        cfg.model.backbone.init_cfg = None  # no download


def detector_checkpoint(cfg, folder):
    """An untrained detector of a second stage's config."""
    model = cfg.model.copy()
    model.head = {k: v for k, v in model.head.items() if k != "refiner"}
    model.type = "TopdownPoseEstimator"
    path = folder / "detector.pth"
    save_checkpoint(dict(state_dict=MODELS.build(model).state_dict()), str(path))
    return str(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_trains_and_tests(path, load, tmp_path):
    cfg = load(path)
    make_small(cfg, path, tmp_path / "work")
    if "ghcu" in path.stem:
        cfg.load_from = detector_checkpoint(cfg, tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2 / cfg.train_dataloader.batch_size
    hooks = [h for h in runner.hooks if type(h).__name__ == "LatentTargetHook"]
    assert len(hooks) == ("_sa" in path.stem and "ghcu" not in path.stem)
    for hook in hooks:
        assert hook.store.counts.amax(1).tolist() == [1, 1]
        # In two faces consensus cannot tell annotators from network.
        moved = hook.store.targets if hook.consensus is None else hook.store.found
        assert (moved != hook.store.annotations).any()
    metrics = runner.test()
    for figure in FIGURES[data_set(path)]:
        assert 0 < metrics[figure] < float("inf"), figure
    if data_set(path) == "300vw":
        assert "jitter_of_error/inter_pupil" in metrics


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_the_readmes_say(path, load):
    cfg = load(path)
    readme = (path.parent / "README.md").read_text()
    assert f"`{path.name}`" in readme
    assert cfg.default_hooks.checkpoint.save_best is None
    assert cfg.model.test_cfg.shift_heatmap == path.stem.startswith("hrnet")
    for hook in cfg.custom_hooks:
        if hook.type == "LatentTargetHook":
            assert hook.start == pytest.approx(0.4 * cfg.train_cfg.max_epochs)
            marked = {k for curve in hook.consensus.curves for k in curve}
            assert max(marked) < cfg.model.head.out_channels
    if not path.stem.startswith("hrnet"):
        assert cfg.codec.heatmap_size == (256, 256)
        assert cfg.model.backbone.num_stacks == cfg.model.head.num_stages == 4
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    if "ghcu" in path.stem:
        convs = model.head.refiner.convs
        kernels = [m.kernel_size[0] for m in convs if isinstance(m, torch.nn.Conv2d)]
        assert kernels == [5, 3, 3, 3, 3, 3]  # all of the paper's Table 1


def test_all_faces_of_300w_are_read_but_mirrored_ones(load, roots):
    cfg = load(ROOT / "configs/semantic_alignment/hourglass4_plain_300w-256x256.py")
    train, test = (
        DATASETS.build(loader.dataset)
        for loader in (cfg.train_dataloader, cfg.test_dataloader)
    )
    assert (len(train), len(test)) == (7, 5)
    name = "helen/testset/image_0001"
    for suffix in (".jpg", ".pts"):
        shutil.copy(
            roots["300w"] / f"{name}{suffix}", roots["300w"] / f"{name}_mirror{suffix}"
        )
    assert len(DATASETS.build(cfg.test_dataloader.dataset)) == 5


def test_norm_in_mmposes_inference(load, roots):
    """Stock inference on an image and a box, without an annotation."""
    path = ROOT / "configs/semantic_alignment/hourglass4_sa-norm_300w-256x256.py"
    cfg = load(path)
    make_narrow(cfg.model)
    model = init_model(cfg, None, device="cpu")
    (image,) = sorted((roots["300w"] / "ibug").glob("*1.jpg"))
    (sample,) = inference_topdown(model, str(image), [[20, 15, 100, 90]])
    assert sample.pred_instances.keypoints.shape == (1, 68, 2)
    assert -180 <= sample.pred_instances.rolls[0] <= 180
