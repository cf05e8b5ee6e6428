import csv
import re

import numpy as np

from semamb_mm.audit.label_report import Images, write_label_page, write_labels
from semamb_mm.audit.labels import audit_labels

from .test_labels import noisy


def make(share, n=300):
    scores, labels, true = noisy(share, n=n, classes=5)
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(n, 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)

    def read(i):
        if i % 7 == 0:
            raise OSError(f"no <file> {i}")
        return np.full((20, 30, 3), i % 256, np.uint8)

    paths = [f"images/{i}.jpg" for i in range(n)]
    images = Images(paths, [f"<class {k}>" for k in range(5)], embeddings, read)
    return audit_labels(scores, labels), images, true


def test_the_table_has_every_image_worst_first(tmp_path):
    audit, images, true = make(0.2)
    write_labels(tmp_path / "labels.csv", audit, images, true)
    with open(tmp_path / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    surprise = [float(row["surprise"]) for row in rows]
    assert len(rows) == 300 and surprise == sorted(surprise, reverse=True)
    assert sum(int(row["suspect"]) for row in rows) == audit.suspects.sum() > 0
    first = audit.order[0]
    assert rows[0]["image"] == f"images/{first}.jpg"
    assert rows[0]["label"] == f"<class {audit.labels[first]}>"
    assert rows[0]["likely_label"] == f"<class {audit.likely[first]}>"
    assert rows[0]["true_label"] == f"<class {true[first]}>"


def test_the_page_shows_suspects_beside_both_classes(tmp_path):
    audit, images, _ = make(0.2)
    path = tmp_path / "audit.html"
    write_label_page(path, audit, images, "a & b", "Judged so.", num_images=10)
    page = path.read_text()
    assert "Label audit: a &amp; b" in page and "Judged so." in page
    assert f"<b>{audit.suspects.sum()} suspects</b>" in page
    rows = re.findall(r"<tr><td>.*?</tr>", page, re.DOTALL)
    assert len(rows) == 10
    for i, row in zip(audit.order, rows):
        assert f"images/{i}.jpg" in row
        claimed, likely = re.findall(r'<td class="(?:claimed|likely)">(.*?)</td>', row)
        assert f"&lt;class {audit.labels[i]}&gt;" in claimed
        assert f"&lt;class {audit.likely[i]}&gt;" in likely
        assert claimed.count("<img") + claimed.count("no picture") == 4
    assert "no picture: no &lt;file&gt;" in page and "data:image/jpeg;base64," in page


def test_without_suspects_the_page_says_so(tmp_path):
    audit, images, _ = make(0)
    write_label_page(tmp_path / "audit.html", audit, images, "clean", "Judged so.", 3)
    page = (tmp_path / "audit.html").read_text()
    assert "No list of suspects would be right in 80% of its labels" in page
    assert page.count("<tr><td>") == 3
