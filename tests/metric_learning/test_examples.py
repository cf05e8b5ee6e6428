"""The examples in the docstrings and on the page run."""

import doctest
import re
import subprocess
import sys

import pytest
import torch

from semamb_mm import metric_learning
from semamb_mm.metric_learning import (
    joint_loss,
    loss,
    re_ranking,
    retrieval,
    sampling,
)
from tests import ROOT

BLOCK = r"<!-- tested: {} -->\n```python\n(.*?)```"
SET_UP = """
import torch
from semamb_mm.metric_learning import re_rank, retrieval_scores
torch.manual_seed(0)
labels = torch.arange(1280) % 20
places = 2 * torch.randn(20, 32) * (torch.arange(32) < 8)  # the rest is noise
scale = 1 + 3 * (torch.arange(32) >= 8)
images, test_images = (places[labels] + scale * torch.randn(1280, 32) for _ in "ab")
test_labels = labels
model = torch.nn.Linear(32, 128)
def recall():
    return retrieval_scores(model(test_images).detach(), labels, (1,))["Recall@1"]
"""


def example(name):
    page = (ROOT / "docs" / "osm_caa.md").read_text()
    return re.search(BLOCK.format(re.escape(name)), page, re.S).group(1)


def test_plain_pytorch_needs_no_openmmlab():
    """In a process in which nothing of it can be imported."""
    blocked = ("mmcv", "mmdet", "mmengine", "mmpose", "mmpretrain")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
            f"{SET_UP}before = recall()\n"
            f"{example('plain PyTorch')}\n"
            "print(before, scores['Recall@1'], len(scores))\n"
            "queries, gallery = test_images[:10].numpy(), test_images.numpy()\n"
            "print(re_rank(queries, gallery).shape)\n",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    scores, shape = done.stdout.splitlines()
    before, after, count = map(float, scores.split())
    assert after > before + 20 and count == 8
    assert shape == "(10, 1280)"


# The trainer's progress bar shows the loss.
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")
def test_it_trains_in_the_trainer_of_pytorch_metric_learning():
    pytest.importorskip("pytorch_metric_learning")
    space: dict = {}
    first, _ = example("plain PyTorch").split("optimizer = ", 1)
    exec(SET_UP + first, space)
    page = example("pytorch-metric-learning")
    page = page.replace(
        "sampler=sampler)", "sampler=sampler, dataloader_num_workers=0)"
    )
    recall, context = space["recall"], space["loss"].context.weight
    before, first_context = recall(), context.clone()
    exec(page, space)
    assert recall() > before + 20
    assert (context - first_context).abs().max() > 0.01


@pytest.mark.parametrize(
    "module", [metric_learning, joint_loss, loss, re_ranking, retrieval, sampling]
)
def test_examples(module):
    state = torch.get_rng_state()
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    torch.set_rng_state(state)
    assert tried and not failed
