"""Opening configs, models and data sets from the command line."""

import argparse

import pytest
import torch
from mmengine.config import Config

from semamb_mm import cli
from semamb_mm.pose.latent_targets.samples import located_samples
from tests import ROOT
from tests.small_detector import ghcu_model  # noqa: F401


def test_a_config_takes_the_command_lines_options(ghcu_model):  # noqa: F811
    path, checkpoint = ghcu_model
    parser = cli.model_parser("what it does")
    args = parser.parse_args([path, checkpoint, "--cfg-options", "work_dir=there"])
    assert (args.config, args.checkpoint, args.device) == (path, checkpoint, "cpu")
    config = cli.open_config(args)
    assert config.work_dir == "there" and config.default_scope == "mmpose"
    missing = parser.parse_args(["no/such/config.py", checkpoint])
    with pytest.raises(SystemExit, match="config file no/such/config.py does not"):
        cli.open_config(missing)


def test_a_base_that_mmengine_cannot_find_is_explained(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("_base_ = 'semamb_mm::_base_/alignment_68.py'\n")
    args = cli.model_parser("").parse_args([str(path), "no.pth"])
    with pytest.raises(SystemExit, match="__import__.'semamb_mm'.*config"):
        cli.open_config(args)


def test_what_a_config_imports_in_vain_is_named_in_one_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("custom_imports = dict(imports=['no_such_module'])\n")
    args = cli.model_parser("").parse_args([str(path), "no.pth"])
    with pytest.raises(SystemExit, match="mine.py: No module named 'no_such_module'"):
        cli.open_config(args)


def test_a_missing_folder_of_data_root_is_named(monkeypatch):
    path = ROOT / "configs/semantic_alignment/slim-hourglass_sa_300w-subset-96x96.py"
    monkeypatch.delenv("DATA_ROOT", raising=False)
    for now, said in (
        (None, "no folder data/300w_subset.*from DATA_ROOT, which is not set"),
        ("/no/faces", "no folder /no/faces.*from DATA_ROOT, which is /no/faces"),
    ):
        if now is not None:
            monkeypatch.setenv("DATA_ROOT", now)
        config = Config.fromfile(path)
        for split in ("train", "val", "test"):
            with pytest.raises(SystemExit, match=f"the {split} data.*{said}"):
                cli.check_data(config, split)
        with pytest.raises(SystemExit, match="Begin the command with DATA_ROOT="):
            cli.training_set(config, [])


def test_a_folder_that_is_there_or_named_elsewhere_is_left_alone(tmp_path, monkeypatch):
    path = ROOT / "configs/semantic_alignment/slim-hourglass_sa_300w-subset-96x96.py"
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    cli.check_data(Config.fromfile(path), "train", "val", "test")
    drawn = path.with_name("slim-hourglass_sa_synthetic-96x96.py")
    cli.check_data(Config.fromfile(drawn), "train", "val", "test")


@pytest.mark.parametrize("part", ["text", "missing", "other", "device"])
def test_what_is_no_model_is_refused(ghcu_model, tmp_path, part):  # noqa: F811
    path, checkpoint = ghcu_model
    wrong = tmp_path / "wrong.pth"
    if part == "text":
        wrong.write_text("not a model\n")
    if part == "other":
        torch.save({"conv1.weight": torch.zeros(3)}, wrong)
    device, said = "cpu", "wrong.pth"
    if part == "device":
        wrong, device, said = checkpoint, "cuda:99", "--device cuda:99"
    with pytest.raises(SystemExit, match=said):
        cli.open_pose_model(Config.fromfile(path), wrong, device)


def test_a_runner_refuses_another_models_checkpoint(ghcu_model, tmp_path):  # noqa: F811
    path, _ = ghcu_model
    config = Config.fromfile(path)
    wrong = tmp_path / "wrong.pth"
    torch.save({"conv1.weight": torch.zeros(3)}, wrong)
    config.load_from, config.work_dir = str(wrong), str(tmp_path)
    config.test_cfg, config.test_evaluator = dict(), dict(type="FaceNME")
    with pytest.raises(SystemExit, match="wrong.pth is of another model"):
        cli.build_runner(config).test()


def test_a_tool_for_the_cpu_alone_has_no_device(capsys):
    with pytest.raises(SystemExit):
        cli.model_parser("", device=False).parse_args(["a", "b", "--device", "cpu"])
    assert "--device" in capsys.readouterr().err


def test_another_pipeline_leaves_the_config_alone(ghcu_model):  # noqa: F811
    config = Config.fromfile(ghcu_model[0])
    before = config.train_dataloader.to_dict()
    pipeline = config.val_dataloader.dataset.pipeline
    dataset = cli.training_set(config, pipeline, num_samples=2)
    assert len(dataset) == 2
    names = [type(step).__name__ for step in dataset.pipeline.transforms]
    assert names == [step.type for step in pipeline]
    assert config.train_dataloader.to_dict() == before


@pytest.mark.parametrize("wrapper", ["Repeat", "Combined"])
def test_the_data_sets_under_a_wrapper_get_the_pipeline(ghcu_model, wrapper):  # noqa: F811
    config = Config.fromfile(ghcu_model[0])
    pipeline = config.val_dataloader.dataset.pipeline
    leaf = config.train_dataloader.dataset
    wrapped = dict(
        Repeat=dict(type="RepeatDataset", times=2, dataset=leaf),
        Combined=dict(
            type="CombinedDataset",
            metainfo=dict(from_file="configs/_base_/datasets/300w.py"),
            datasets=[dict(leaf, pipeline=[]), dict(leaf, pipeline=[], seed=4)],
            pipeline=leaf.pipeline,
        ),
    )[wrapper]
    config.train_dataloader.dataset = wrapped
    samples = located_samples(cli.training_set(config, pipeline, num_samples=2))
    assert len(samples) == (2 if wrapper == "Repeat" else 4)
    for faces, index in samples:
        assert faces[index]["inputs"].shape == (3, 64, 64)
        names = [type(step).__name__ for step in faces.pipeline.transforms]
        assert names == [step.type for step in pipeline]


def test_a_model_has_the_checkpoints_weights(ghcu_model):  # noqa: F811
    path, checkpoint = ghcu_model
    model = cli.open_pose_model(Config.fromfile(path), checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert not model.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, saved[name])


def test_targets_and_suspects_are_given_to_one_hook():
    others = [dict(type="EMAHook")]
    aligning = dict(type="LatentTargetHook", start=8, freeze=[3])
    config = Config(dict(custom_hooks=[aligning, *others]))
    cli.use_suspects(config, "a.csv")
    suspects = dict(file="a.csv")
    assert config.custom_hooks == [*others, dict(aligning, suspects=suspects)]
    cli.use_targets(config, "t.npz")  # does not search
    finished = dict(targets="t.npz", freeze=[3], suspects=suspects)
    assert config.custom_hooks == [*others, dict(finished, type="LatentTargetHook")]
    plain = Config()
    cli.use_suspects(plain, "a.csv")
    assert plain.custom_hooks == [dict(type="LatentTargetHook", suspects=suspects)]
    assert plain.custom_imports == dict(imports=["semamb_mm.pose"])


def test_latent_targets_are_optional(ghcu_model):  # noqa: F811
    assert cli.open_latent_targets(ghcu_model[1]) is None


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_file_of_groups_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "groups.json"
    if content is not None:
        path.write_text(content)
    args = argparse.Namespace(groups=str(path), folds=2)
    with pytest.raises(SystemExit, match=r"--groups .*groups.json: .*expected a JSON"):
        cli.divide(args, ["a", "b"], [{}, {}])
