"""The review page in a real browser: one start for all tests."""

import shutil
import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from semamb_mm.audit.decisions import read_decisions
from semamb_mm.audit.review_page import write_review_page
from semamb_mm.audit.tracks import Track
from semamb_mm.formats.pts import read_pts
from tools.analysis import apply_decisions

from .reviews import (
    COLOURS,
    SIZE,
    content_of,
    decisions_file,
    picture,
    review_of,
    write_tree,
)

webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

PROGRAMS = [shutil.which(name) for name in ("chromium", "chromedriver")]
pytestmark = pytest.mark.skipif(
    None in PROGRAMS,
    reason="no chromium and chromedriver: apt-get install chromium chromium-driver",
)
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-extensions", "--disable-sync", "--disable-background-networking"),
    *("--disable-component-update", "--no-first-run", "--window-size=1280,800"),
)


# Other faces in each test: the browser keeps progress under what an audit asks.
SEEDS = count(step=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("review")


@pytest.fixture(scope="module")
def browser(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS[0]
    for option in OPTIONS:
        options.add_argument(option)
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(folder)}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(PROGRAMS[1]))
    yield driver
    errors = [e for e in driver.get_log("browser") if e["level"] == "SEVERE"]
    driver.quit()
    assert not errors


def show(browser, path, review, read=lambda i: picture()):
    """Write a page and open it; the browser keeps each audit's progress apart."""
    write_review_page(path, review, read, "tiny")
    browser.get(path.as_uri())
    return content_of(path)


@pytest.fixture
def opened(browser, folder, request):
    """A page of three samples with four suspects each, and its tree."""
    data = folder / request.node.name
    review = write_tree(data, next(SEEDS))
    return review, show(browser, folder / f"{data.name}.html", review), data


def press(browser, *keys, shift=False):
    chain = ActionChains(browser, duration=0)
    if shift:
        chain.key_down(Keys.SHIFT)
    for key in keys:
        chain.send_keys(key)
    if shift:
        chain.key_up(Keys.SHIFT)
    chain.perform()


def text(browser, id_):
    return browser.execute_script(
        "return document.getElementById(arguments[0]).textContent", id_
    )


def wait_for(condition):
    end = time.monotonic() + 10
    while not (found := condition()):
        assert time.monotonic() < end, "nothing came within 10 s"
        time.sleep(0.02)
    return found


def exported(browser, folder):
    """Press E, and return the path of the file that comes."""
    before = set(folder.glob("decisions-*.json"))
    press(browser, "e")
    (path,) = wait_for(lambda: set(folder.glob("decisions-*.json")) - before)
    return path


def canvas_place(browser, content, number, point):
    """Return where a point is in the close view, from its middle, and the scale."""
    x, y, side = content["suspects"][number]["view"]
    sizes = browser.execute_script(
        "const box = document.getElementById('close').getBoundingClientRect();"
        "return [box.width, box.height]"
    )
    scale = min(sizes) / side
    return np.round((np.array(point) - (x, y)) * scale).astype(int).tolist(), scale


def drag(browser, start, by):
    canvas = browser.find_element("id", "close")
    chain = ActionChains(browser, duration=0)
    chain.move_to_element_with_offset(canvas, *start).click_and_hold()
    chain.move_by_offset(*by).release().perform()


def test_ten_decisions_reach_the_data(browser, opened, folder):
    review, content, data = opened
    places = [(s["sample"], s["landmark"]) for s in content["suspects"]]
    assert places[4] == (1, 10)
    press(browser, "a", "k", "h", "s")
    point = review.annotations[places[4]]
    start, scale = canvas_place(browser, content, 4, point)
    drag(browser, start, (40, -24))
    press(browser, Keys.ENTER, Keys.ARROW_RIGHT)
    press(browser, Keys.ARROW_DOWN, shift=True)
    press(browser, Keys.ENTER, "a", "k", "a", "h")
    assert text(browser, "count") == "10 of 12 decided"
    browser.refresh()
    assert text(browser, "count") == "10 of 12 decided"
    assert text(browser, "name") == "12 contour 13"

    path = exported(browser, folder)
    decisions = read_decisions(path)
    assert decisions.fingerprint == content["fingerprint"]
    made = [(d.sample, d.landmark, d.kind) for d in decisions.decisions]
    kinds = ["accept", "keep", "hidden", "skip", "move", "move"]
    kinds += ["accept", "keep", "accept", "hidden"]
    assert made == [(review.keys[i], k, kind) for (i, k), kind in zip(places, kinds)]

    expected = {key: read_pts(data / f"{key}.pts") for key in review.keys}
    for (i, k), kind in zip(places, kinds):
        if kind == "accept":
            expected[review.keys[i]][k] += (6, 0)
    expected["000001"][10] += np.array([40, -24]) / scale
    _, scale = canvas_place(browser, content, 5, (0, 0))
    expected["000001"][11] += (6, 0) + np.array([3, 15]) / scale
    apply_decisions.main(
        [str(path), "--dataset", str(data), "--out", str(folder / "corrected")]
    )
    for key, points in expected.items():
        new = read_pts(folder / "corrected" / f"{key}.pts")
        # Mouse and screen know whole pixels; what nobody moved is exactly as before.
        np.testing.assert_allclose(new, points, atol=1 / scale)
        still = [k for k in range(68) if k not in (10, 11, 12, 13)]
        np.testing.assert_array_equal(new[still], points[still])


def test_undo_takes_back_one_step_at_a_time(browser, opened):
    press(browser, "k")
    press(browser, "a", shift=True)  # the three others of the picture
    assert text(browser, "count") == "4 of 12 decided"
    assert text(browser, "path").startswith("000001")
    press(browser, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT)
    assert text(browser, "verdict") == "moved"
    press(browser, "u")
    assert text(browser, "verdict") == "" and text(browser, "path")[:6] == "000001"
    press(browser, "u")
    assert text(browser, "count") == "1 of 12 decided"
    assert text(browser, "name") == "11 contour 12"
    browser.refresh()
    press(browser, "u", "u")
    assert text(browser, "count") == "0 of 12 decided"
    assert text(browser, "message") == "Nothing to undo."


def choose(browser, id_, value):
    browser.execute_script(
        "const field = document.getElementById(arguments[0]);"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('change', { bubbles: true }))",
        id_, value,
    )  # fmt: skip


def listed(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('#queue li')].map((item) =>"
        " item.querySelector('span').textContent)"
    )


def test_filters_choose_what_is_asked(browser, opened):
    names = ["10 contour 11", "11 contour 12", "12 contour 13", "13 contour 14"]
    assert listed(browser) == 3 * names
    choose(browser, "landmark", "11")
    assert listed(browser) == 3 * names[1:2]
    assert text(browser, "name") == names[1]
    press(browser, "k", "k", "k", "k")
    assert "9 others are not" in text(browser, "message")
    choose(browser, "landmark", "")
    choose(browser, "reason", "=left and right")
    assert listed(browser) == 3 * names[1::2]
    choose(browser, "state", "open")
    assert listed(browser) == 3 * names[3:]
    choose(browser, "score", "35")
    assert listed(browser) == 2 * names[3:]
    browser.find_element("id", "score").send_keys("kk")  # is no decision
    assert text(browser, "count") == "3 of 12 decided"


def test_decisions_are_imported_where_they_fit(browser, opened, folder):
    """Of an audit that proposed another point, the accepted point is taken."""
    review, content, _ = opened
    accepted = content["suspects"][0]["proposal"]
    made = [
        ("000000", 10, "accept", accepted),
        ("000000", 11, "accept", [30, 40]),
        ("000000", 12, "move", [500, 40]),  # outside
        ("000001", 10, "hidden", None),
        ("000001", 40, "keep", None),  # is not asked here
    ]
    path = decisions_file(folder / "import.json", review, made)
    field = browser.find_element("id", "file")
    field.send_keys(str(path))
    wait_for(lambda: text(browser, "message"))
    assert text(browser, "message").startswith("Imported 3 decisions; 2 are of other")
    read = read_decisions(exported(browser, folder)).decisions
    assert [(d.landmark, d.kind) for d in read] == [
        (10, "accept"), (11, "move"), (10, "hidden"),
    ]  # fmt: skip
    assert read[1].point == (30, 40)
    for changes, message in (
        (dict(version=9), "no decisions file of version 1"),
        (dict(num_keypoints=17), "of other landmarks"),
        (dict(decisions=[None, 7]), "nothing that is asked here"),
    ):
        field.send_keys(str(decisions_file(path, review, made, **changes)))
        wait_for(lambda message=message: message in text(browser, "message"))
    assert text(browser, "count") == "3 of 12 decided"


def colour_at(browser, canvas, x, y):
    """Return a canvas's red, green and blue, x and y from its middle."""
    return browser.execute_script(
        "const canvas = document.getElementById(arguments[0]);"
        "return [...canvas.getContext('2d').getImageData("
        "canvas.width / 2 + arguments[1], canvas.height / 2 + arguments[2], 1, 1).data]"
        ".slice(0, 3)",
        canvas, x, y,
    )  # fmt: skip


def test_pictures_lie_where_the_points_are(browser, opened, folder):
    """In a large image, too, whose close picture is another one."""
    review, _, _ = opened
    points = 8 * review.annotations
    middle = np.multiply(SIZE, 4)  # where the four colours meet
    points[0, 10] = middle + (40, -37)  # in the green one
    large = replace(review, annotations=points, proposals=points + (9, 0))
    content = show(browser, folder / "large.html", large, lambda i: picture(8))
    assert content["suspects"][0]["picture"] is not None

    def wait_for_colour(place, colour):
        wait_for(
            lambda: np.allclose(colour_at(browser, "close", *place), colour, atol=30)
        )

    red, green, blue, yellow = (np.array(colour[::-1]) for colour in COLOURS)
    (x, y), _ = canvas_place(browser, content, 0, points[0, 10])
    wait_for_colour((x + 7, y), (235, 60, 60))  # the ring
    ActionChains(browser, duration=0).key_down(Keys.SPACE).perform()
    wait_for_colour((x + 7, y), green)
    (x, y), _ = canvas_place(browser, content, 0, middle)
    for place, colour in (
        ((x - 8, y - 8), red), ((x + 8, y - 8), green),
        ((x - 8, y + 8), blue), ((x + 8, y + 8), yellow),
    ):  # fmt: skip
        wait_for_colour(place, colour)
    ActionChains(browser, duration=0).key_up(Keys.SPACE).perform()
    (x, y), _ = canvas_place(browser, content, 0, points[0, 10])
    wait_for_colour((x + 7, y), (235, 60, 60))


def test_a_decision_is_taken_for_a_whole_track(browser, opened, folder):
    """Eight frames, of which four are shown, and a suspect of no track."""
    points = np.concatenate([opened[0].annotations] * 3)
    keys = [f"v/{i:06d}" for i in range(9)]
    track = Track("v", 10, np.arange(1, 9), 2, 9, 60.0, "far", 0.7)
    review = review_of(keys, points, suspects=1, tracks=[track])
    show(browser, folder / "track.html", review)
    assert len(listed(browser)) == 5
    press(browser, "t")
    assert text(browser, "message") == "This suspect is of no track."
    press(browser, "k")
    assert text(browser, "path").startswith("v/000001")  # in the frames' order
    assert "8 suspects in frames 2 to 9 · 70 % expected" in text(browser, "why")
    press(browser, "t")
    assert text(browser, "message").startswith("First decide about one frame")
    press(browser, Keys.ARROW_UP, "t")
    assert text(browser, "message").startswith("A moved point is its frame's alone")
    press(browser, Keys.ENTER, "a")
    assert text(browser, "message").startswith("T does the same for the other 6 fr")
    press(browser, "t")
    assert text(browser, "count") == "9 of 9 decided"
    decisions = read_decisions(exported(browser, folder)).decisions
    kinds = {d.sample: (d.kind, d.point) for d in decisions}
    assert kinds["v/000000"] == ("keep", None) and kinds["v/000001"][0] == "move"
    for i in range(2, 9):
        kind, point = kinds[keys[i]]
        assert kind == "accept"
        np.testing.assert_allclose(point, points[i, 10] + (6, 0), atol=1e-2)
    press(browser, "u")
    assert text(browser, "count") == "3 of 9 decided"
    choose(browser, "order", "worst")
    assert len(listed(browser)) == 5


def test_names_are_shown_and_not_run(browser, opened, folder):
    review, _, _ = opened
    evil = "<img src=x onerror=document.title=1><script>document.title=1</script>"
    keys = [evil, "</script>", "c"]
    show(browser, folder / "evil.html", replace(review, keys=keys, paths=keys))
    assert text(browser, "path") == evil and browser.title == "Review: tiny"
    press(browser, "l")
    assert browser.find_element("css selector", "#legend[open]")
    press(browser, "k")  # is for the page, not for the legend
    assert text(browser, "count") == "0 of 12 decided"


def test_without_a_picture_nothing_can_be_moved(browser, opened, folder):
    def read(i):
        raise OSError("a.png is missing")

    review, _, _ = opened
    show(browser, folder / "blind.html", review, read)
    assert text(browser, "problem") == "No picture: a.png is missing"
    press(browser, "a", "h", Keys.ARROW_UP)
    assert text(browser, "count") == "0 of 12 decided"
    press(browser, "k")
    assert text(browser, "count") == "1 of 12 decided"


def test_a_proposal_outside_the_picture_cannot_be_accepted(browser, opened, folder):
    review, _, _ = opened
    outside = replace(review, proposals=review.annotations + 500)
    show(browser, folder / "outside.html", outside)
    press(browser, "a")
    assert text(browser, "message") == "No proposal: move the point."


def test_a_page_without_suspects_says_so(browser, opened, folder):
    review, _, _ = opened
    calm = replace(review, suspects=np.zeros((3, 68), bool))
    show(browser, folder / "calm.html", calm)
    assert "No suspects" in browser.find_element("tag name", "main").text


def test_a_point_is_placed_in_the_zoomed_and_moved_view(browser, opened, folder):
    review, content, _ = opened
    canvas = browser.find_element("id", "close")
    _, scale = canvas_place(browser, content, 0, (0, 0))
    press(browser, "+")
    drag(browser, (-200, 150), (30, -20))  # beside the points: the picture moves
    assert text(browser, "count") == "0 of 12 decided"
    chain = ActionChains(browser, duration=0)
    chain.move_to_element_with_offset(canvas, 100, 60).double_click().perform()
    (decision,) = read_decisions(exported(browser, folder)).decisions
    expected = content["suspects"][0]["view"][:2] + np.array([70, 80]) / (1.4 * scale)
    assert decision.kind == "move"
    np.testing.assert_allclose(decision.point, expected, atol=1 / scale)
    press(browser, "u", "0", *"------")
    start, _ = canvas_place(browser, content, 0, review.annotations[0, 10])
    start = np.round(np.array(start) / 1.4**6).astype(int)
    drag(browser, start.tolist(), (300 - start).tolist())  # beyond the picture's edge
    (decision,) = read_decisions(exported(browser, folder)).decisions
    assert decision.point == (SIZE[0] - 1, SIZE[1] - 1)
