import logging

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def log(monkeypatch):
    """What is logged, as (level, message)."""
    logger = MMLogger.get_instance("face_nme")
    records = []
    handler = logging.Handler()
    handler.emit = lambda r: records.append((r.levelname, r.getMessage()))
    logger.addHandler(handler)
    monkeypatch.setattr("mmengine.evaluator.metric.print_log", lambda *a, **k: None)
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: logger)
    yield records
    logger.removeHandler(handler)
