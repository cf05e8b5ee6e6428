"""What all tests share."""

import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def _plain_config_texts():
    """Leave out what takes a runner's start seconds: the layout of configs in logs."""
    config = sys.modules.get("mmengine.config.config")
    with pytest.MonkeyPatch.context() as patch:
        if config is not None:
            patch.setattr(config, "FormatCode", lambda text, **_: (text, False))
        yield
