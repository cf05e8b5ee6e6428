"""The page's file; test_review_browser.py opens it."""

import base64
import hashlib
import re

import cv2
import numpy as np
import pytest

from semamb_mm.audit.review_page import write_review_page
from semamb_mm.audit.tracks import Track
from tests.trees.faces import face_68

from .reviews import SIZE, content_of, picture, review_of

KEYS = ["a", "b", "c"]
FACES = np.array([face_68(i) for i in range(3)])


def decoded(crop):
    data = base64.b64decode(crop["src"].partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_page_holds_what_is_asked(tmp_path):
    path = tmp_path / "review.html"
    review = review_of(KEYS, FACES, predictions=FACES + 1)
    assert write_review_page(path, review, lambda i: picture(), "tiny", limit=5) == 5
    content = content_of(path)
    assert (content["format"], content["version"]) == ("semamb_mm decisions", 1)
    assert (content["found"], content["num_keypoints"]) == (12, 68)
    assert [(s["sample"], s["landmark"]) for s in content["suspects"]] == [
        (0, 10), (0, 11), (0, 12), (0, 13), (1, 10),
    ]  # fmt: skip
    worst = content["suspects"][0]
    assert (worst["score"], worst["reason"], worst["precision"]) == (49, "far", 0.8)
    np.testing.assert_allclose(worst["proposal"], FACES[0, 10] + (6, 0), atol=1e-3)
    np.testing.assert_allclose(worst["prediction"], FACES[0, 10] + 1, atol=1e-3)
    x, y, side = worst["view"]
    np.testing.assert_allclose((x, y), FACES[0, 10] + (3, 0), atol=1e-3)
    assert 16 <= side < 60
    assert [sample["key"] for sample in content["samples"]] == ["a", "b"]
    assert content["samples"][0]["size"] == list(SIZE)
    np.testing.assert_allclose(content["samples"][1]["points"], FACES[1], atol=1e-3)
    assert content["names"][36] == "left eye 1" and [0, 1] in content["links"]
    assert np.shape(content["shape"]) == (68, 2)


def test_pictures_are_parts_of_the_image(tmp_path):
    """Large images are reduced, and a suspect then has a closer picture."""
    path, scale = tmp_path / "review.html", 8
    image = cv2.resize(
        np.random.default_rng(0).integers(0, 255, (10, 12, 3), np.uint8),
        (scale * SIZE[0], scale * SIZE[1]),
    )
    write_review_page(path, review_of(KEYS, scale * FACES), lambda i: image, "large")
    content = content_of(path)
    suspect = content["suspects"][0]
    for crop in (content["samples"][0]["picture"], suspect["picture"]):
        shown = decoded(crop)
        assert max(shown.shape) <= 384
        x, y = int(crop["x"] + 0.5), int(crop["y"] + 0.5)
        part = image[y : y + crop["height"], x : x + crop["width"]]
        expected = cv2.resize(part, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(shown.astype(int) - expected).mean() < 4
    crop, (x, y, side) = suspect["picture"], suspect["view"]
    assert crop["width"] < content["samples"][0]["picture"]["width"]
    # All of the view that lies in the image.
    assert crop["x"] <= max(x - side / 2, 0) and crop["y"] <= max(y - side / 2, 0)
    assert crop["x"] + crop["width"] >= min(x + side / 2, scale * SIZE[0] - 1)


def test_small_images_have_one_picture(tmp_path):
    write_review_page(
        tmp_path / "page", review_of(KEYS, FACES), lambda i: picture(), ""
    )
    content = content_of(tmp_path / "page")
    assert all(suspect["picture"] is None for suspect in content["suspects"])
    whole = content["samples"][0]["picture"]
    assert decoded(whole).shape[:2] == (whole["height"], whole["width"])


def test_a_sample_outside_its_image_is_shown_with_all_of_it(tmp_path):
    review = review_of(KEYS, FACES + 1000)
    write_review_page(tmp_path / "page", review, lambda i: picture(), "")
    whole = content_of(tmp_path / "page")["samples"][0]["picture"]
    assert (whole["width"], whole["height"]) == SIZE


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    def read(i):
        if i == 0:
            raise OSError("images/a.png is <missing>")
        return picture()

    write_review_page(tmp_path / "page", review_of(KEYS, FACES), read, "")
    samples = content_of(tmp_path / "page")["samples"]
    assert samples[0]["problem"] == "images/a.png is <missing>"
    assert samples[0]["picture"] is None and samples[0]["size"] is None
    assert samples[1]["problem"] == "" and samples[1]["picture"]


def test_what_is_not_known_is_left_out(tmp_path):
    proposals = FACES.copy()
    proposals[0, 10] = np.nan
    review = review_of(
        KEYS, FACES, proposals=proposals, precisions=None, reasons=None, names=(),
        links=(),
    )  # fmt: skip
    write_review_page(tmp_path / "page", review, lambda i: picture(), "")
    content = content_of(tmp_path / "page")
    worst = content["suspects"][0]
    assert (worst["proposal"], worst["prediction"], worst["precision"]) == (None,) * 3
    assert worst["reason"] == "" and content["names"] == content["links"] == []


def test_no_text_leaves_its_place(tmp_path):
    """File names and reasons are not trusted."""
    evil = "</script><script>alert(1)</script><!--\u2028@@SCRIPT@@"
    review = review_of([evil, "b", "c"], FACES, reasons=np.full((3, 68), evil))
    path = tmp_path / "page"
    write_review_page(path, review, lambda i: picture(), evil)
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text and text.count("<script") == 2
    content = content_of(path)
    assert content["samples"][0]["key"] == content["name"] == evil


def test_the_policy_names_the_page_own_script_and_style(tmp_path):
    write_review_page(
        tmp_path / "page", review_of(KEYS, FACES), lambda i: picture(), ""
    )
    text = (tmp_path / "page").read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (part,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert not re.search(r'\s(src|href|style|on\w+)="', text)
    assert "http:" not in text and "https:" not in text


def test_three_hundred_suspects_are_below_20_mb(tmp_path):
    """With a mosaic of random colours, which takes more than photographs."""
    image = cv2.resize(
        np.random.default_rng(0).integers(0, 255, (75, 100, 3), np.uint8),
        (1600, 1200),
    )
    review = review_of(KEYS, 12 * FACES, suspects=5)
    path = tmp_path / "page"
    count = write_review_page(path, review, lambda i: image, "")
    assert path.stat().st_size < 20e6 * count / 300


def test_of_a_track_some_frames_are_shown_and_all_can_be_decided(tmp_path):
    """Frames 3 and up of a video; sample 2 is no frame of the track."""
    keys = [f"v/{i:06d}" for i in range(12)]
    rows = np.array([r for r in range(12) if r != 2])
    track = Track("v", 10, rows, 3, 14, 49.0, "far", 0.7)
    faces = np.array([face_68(i) for i in range(12)])
    scores = np.tile(-np.abs(np.arange(12.0) - 4)[:, None], 68)  # the fifth is worst
    review = review_of(keys, faces, suspects=1, scores=scores, tracks=[track])
    read = []

    def read_image(i):
        read.append(i)
        return picture()

    path = tmp_path / "page"
    assert write_review_page(path, review, read_image, "") == 12
    content = content_of(path)
    (told,) = content["tracks"]
    assert told == dict(video="v", first=3, last=14, count=11)
    assert sorted(read) == [0, 2, 4, 8, 11]
    for suspect in content["suspects"]:
        sample = content["samples"][suspect["sample"]]
        i = keys.index(sample["key"])
        assert (suspect["view"] is not None) == (i in read)
        assert sample["size"] == list(SIZE) and suspect["proposal"]
        np.testing.assert_allclose(sample["points"][10], faces[i, 10], atol=1e-3)
        if i == 2:
            assert (suspect["track"], suspect["precision"]) == (None, 0.8)
        else:
            assert (suspect["track"], suspect["precision"]) == (0, 0.7)
            assert suspect["frame"] == rows.tolist().index(i)
    assert write_review_page(path, review, read_image, "", limit=4) == 11
    assert write_review_page(path, review, read_image, "", limit=1) == 11


@pytest.mark.parametrize("limit", [None, 300])
def test_a_page_without_suspects_is_written(tmp_path, limit):
    review = review_of(KEYS, FACES, suspects=0)
    path = tmp_path / "page"
    assert write_review_page(path, review, lambda i: picture(), "", limit) == 0
    assert content_of(path)["suspects"] == content_of(path)["samples"] == []
