"""What the tests of the MMPretrain part share."""

import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def _registered():
    import semamb_mm.pretrain  # noqa: F401

    init_default_scope("mmpretrain")
