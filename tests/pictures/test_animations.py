import numpy as np
import pytest
from PIL import Image

from semamb_mm.pictures.animations import write_gif


def test_frames_and_how_long_each_is_shown(tmp_path):
    frames = np.full((3, 40, 60, 3), 200, np.uint8)
    for i, frame in enumerate(frames):
        frame[5:15, 10 * i : 10 * i + 10] = (0, 0, 255)  # BGR
    path = tmp_path / "new" / "a.gif"
    write_gif(path, frames, seconds=0.5, last=2)
    assert [p.name for p in path.parent.iterdir()] == ["a.gif"]
    with Image.open(path) as read:
        assert read.n_frames == 3 and read.info["loop"] == 0
        durations = []
        for i, frame in enumerate(frames):
            read.seek(i)
            durations.append(read.info["duration"])
            shown = np.asarray(read.convert("RGB")).astype(int)
            assert np.abs(shown - frame[..., ::-1]).max() <= 4
    assert durations == [500, 500, 2000]


def test_what_does_not_change_takes_no_room(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    moved = image.copy()
    moved[2:6, 2:6], moved[-6:-2, -6:-2] = 0, 255  # far apart
    write_gif(tmp_path / "one.gif", [image])
    write_gif(tmp_path / "two.gif", [image, moved])
    sizes = [(tmp_path / name).stat().st_size for name in ("one.gif", "two.gif")]
    assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize("sides", [(), (9, 8)])
def test_frames_of_one_size(tmp_path, sides):
    frames = [np.zeros((side, 9, 3), np.uint8) for side in sides]
    with pytest.raises(ValueError, match="frames, all of the same size"):
        write_gif(tmp_path / "a.gif", frames)
    assert not list(tmp_path.iterdir())
