"""The examples in the docstrings run."""

import doctest

import pytest
import torch

from semamb_mm import metric_learning
from semamb_mm.metric_learning import loss, re_ranking, retrieval, sampling


@pytest.mark.parametrize(
    "module", [metric_learning, loss, re_ranking, retrieval, sampling]
)
def test_examples(module):
    state = torch.get_rng_state()
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    torch.set_rng_state(state)
    assert tried and not failed
