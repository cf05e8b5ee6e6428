"""Exports of LabelMe and CVAT, in their documented layouts, as one COCO json."""

import json

import numpy as np
import pytest

from semamb_mm.formats.annotators import read_one_coco
from tools.dataset_converters.convert_drawn_points import main

LABELME = dict(
    version="5.5.0",
    flags={},
    shapes=[
        dict(
            label=label,
            points=[[x, y]],
            group_id=None,
            description="",
            shape_type="point",
            flags={},
            mask=None,
        )
        for label, x, y in (("tip", 10.5, 20.25), ("base", 30.0, 60.0))
    ],
    imagePath="..\\pictures\\a.png",
    imageData=None,
    imageHeight=96,
    imageWidth=80,
)
BOX = dict(label="box", points=[[0, 0], [9, 9]], group_id=None, shape_type="rectangle")
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><name>mine</name></task></meta>
  <image id="0" name="a.png" width="80" height="96">
    <skeleton label="thing" source="manual" z_order="0">
      <points label="tip" source="manual" outside="0" occluded="0" points="11.50,21.00">
      </points>
      <points label="base" source="manual" outside="1" occluded="0" points="0.00,0.00">
      </points>
    </skeleton>
  </image>
  <image id="1" name="b.png" width="80" height="96">
    <points label="tip" source="manual" occluded="1" points="1.00,2.00" z_order="0">
      <attribute name="sure">no</attribute>
    </points>
    <points label="base" source="manual" occluded="0" points="3.00,4.00" z_order="0">
    </points>
  </image>
</annotations>
"""


def labelme(folder, content, name="a.json"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def test_labelme(tmp_path, capsys):
    """A folder for each annotator; shapes that are no points do not count."""
    anna = labelme(tmp_path / "anna", dict(LABELME, shapes=[*LABELME["shapes"], BOX]))
    ben = labelme(tmp_path / "ben", dict(LABELME, shapes=LABELME["shapes"][:1]))
    out = tmp_path / "all.json"
    main(["labelme", f"anna={anna}", f"ben={ben}", "--out", str(out)])
    assert "2 annotations of 1 images by anna, ben" in capsys.readouterr().out
    read = read_one_coco(out)
    assert (read.names, read.landmarks) == (["anna", "ben"], ["base", "tip"])
    assert read.images == ["a.png"]
    expected = [[[30, 60], [10.5, 20.25]], [[np.nan] * 2, [10.5, 20.25]]]
    np.testing.assert_array_equal(read.points[:, 0], expected)
    image = json.loads(out.read_text())["images"][0]
    assert (image["width"], image["height"]) == (80, 96)


def test_cvat(tmp_path):
    """Skeletons, points by label, what is outside, what is occluded."""
    path = tmp_path / "anna.xml"
    path.write_text(CVAT)
    out = tmp_path / "all.json"
    main(["cvat", f"anna={path}", "--out", str(out), "--landmarks", "tip", "base"])
    first, second = json.loads(out.read_text())["annotations"]
    assert first["keypoints"] == [11.5, 21, 2, 0, 0, 0]
    assert second["keypoints"] == [1, 2, 1, 3, 4, 2]
    assert {first["annotator"], second["annotator"]} == {"anna"}
    assert second["bbox"][2] > 0 and first["num_keypoints"] == 1


def test_several_instances_of_an_image(tmp_path):
    """By LabelMe's groups and CVAT's skeletons."""
    twice = [dict(s, group_id=g) for g in (4, 7) for s in LABELME["shapes"]]
    anna = labelme(tmp_path / "anna", dict(LABELME, shapes=twice))
    out = tmp_path / "all.json"
    main(["labelme", f"anna={anna}", "--out", str(out)])
    made = json.loads(out.read_text())["annotations"]
    assert [one["instance"] for one in made] == [4, 7]
    skeleton = CVAT[CVAT.index("<skeleton") : CVAT.index("</skeleton>") + 11]
    path = tmp_path / "anna.xml"
    path.write_text(CVAT.replace(skeleton, skeleton + skeleton))
    main(["cvat", f"anna={path}", "--out", str(out)])
    made = json.loads(out.read_text())["annotations"]
    assert [one.get("instance") for one in made] == [0, 1, None]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("labelme", "{", "a.json: no json file"),
        ("labelme", "{}", "a.json: no file of LabelMe's.*'imagePath'"),
        (
            "labelme",
            json.dumps(dict(LABELME, shapes=LABELME["shapes"][:1] * 2)),
            "'tip' is marked twice in one instance",
        ),
        ("cvat", "<x", "anna.xml: no XML file"),
        ("cvat", "<annotations/>", "'CVAT for images 1.1'"),
        ("cvat", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>", "declares entities"),
        ("cvat", CVAT.replace("3.00,4.00", "3,4;5,6"), "'base' has the points.*one"),
    ],
)
def test_bad_exports_are_named(tmp_path, kind, text, message):
    path = tmp_path / "anna.xml"
    if kind == "labelme":
        path = tmp_path / "anna"
        path.mkdir()
        (path / "a.json").write_text(text)
    else:
        path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        main([kind, f"anna={path}", "--out", str(tmp_path / "all.json")])
    assert not (tmp_path / "all.json").exists()


def test_other_mistakes_are_named(tmp_path):
    anna = labelme(tmp_path / "anna", LABELME)
    out = ["--out", str(tmp_path / "all.json")]
    with pytest.raises(SystemExit, match="'anna': expected NAME=PATH"):
        main(["labelme", "anna", *out])
    with pytest.raises(SystemExit, match=r"anna, a.png: 'base' is no landmark.*tip"):
        main(["labelme", f"anna={anna}", "--landmarks", "tip", *out])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no json files of LabelMe"):
        main(["labelme", f"anna={tmp_path / 'empty'}", *out])
