import sys

import pytest

from semamb_mm.synthetic import videos as videos
from tools import make_synthetic_videos as tool


def test_the_tool_makes_a_tree(tmp_path, monkeypatch):
    arguments = [str(tmp_path), "--videos", "1", "--frames", "3", "--image-size", "64"]
    monkeypatch.setattr(sys, "argv", ["tool", *arguments, "--noise", "none"])
    tool.main()
    assert len(list((tmp_path / "s000" / "annot").iterdir())) == 3
    assert (tmp_path / "s000" / "vid.avi").stat().st_size > 0
    monkeypatch.setattr(sys, "argv", ["tool", *arguments, "--noise", "heavy"])
    with pytest.raises(SystemExit, match="noise="):
        tool.main()
