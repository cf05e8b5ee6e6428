"""Wrong labels, planted on purpose to measure how well training bears them."""

from __future__ import annotations

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile

# Side of a thumbnail, in pixels.
_THUMBNAIL = 16


def plant_wrong_labels(samples: list[dict], share: float, seed: int) -> None:
    """Give ``round(share * n)`` samples another class's label, in place.

    The samples and the labels are drawn uniformly. Every sample gets its right
    label as ``true_label``.
    """
    rng = np.random.default_rng(seed)
    labels, classes = _keep_true_labels(samples)
    wrong = rng.choice(len(samples), round(share * len(samples)), replace=False)
    for index in wrong:
        others = classes[classes != labels[index]]
        samples[index]["gt_label"] = int(rng.choice(others))


def plant_small_clusters(samples: list[dict], share: float, seed: int) -> None:
    """Dissolve whole classes into others by small clusters, in place.

    The 'small cluster' noise of Liu et al. (CVPR 2021): a class drawn at random is
    clustered into half as many clusters as it has images, and each cluster gets the
    label of one of the classes that stay, drawn at random. So it goes on until
    ``share`` of the images are of dissolved classes. Wrong labels then come in
    groups that look alike, of classes that no right label is left of. Every sample
    gets its right label as ``true_label``; labels are not numbered anew.

    The paper clusters features of a pretrained network. Here they are the pixels of
    grey thumbnails, clustered by Ward's method.

    Args:
        samples: With ``img_path`` and ``gt_label``.
        share: Of the images, below which no further class is dissolved.
        seed: Chooses the classes and the labels.

    Raises:
        ValueError: If fewer than two classes would stay.
    """
    rng = np.random.default_rng(seed)
    labels, classes = _keep_true_labels(samples)
    order, counts = rng.permutation(classes), np.bincount(labels)
    before = np.cumsum(counts[order]) - counts[order]
    number = int((before < share * len(samples)).sum())
    staying = order[number:]
    if len(staying) < 2:
        raise ValueError(
            f"small clusters: {share:.0%} of the images dissolve {number} of "
            f"{len(classes)} classes; at least 2 must stay"
        )
    for label in order[:number]:
        members = np.flatnonzero(labels == label)
        clusters = _small_clusters([samples[i]["img_path"] for i in members])
        new = rng.choice(staying, clusters.max() + 1)
        for index, cluster in zip(members, clusters, strict=True):
            samples[index]["gt_label"] = int(new[cluster])


def _keep_true_labels(samples: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Write ``true_label``; return all labels and the classes."""
    labels = np.array([sample["gt_label"] for sample in samples])
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError("wrong labels need at least 2 classes to choose from")
    for sample, label in zip(samples, labels, strict=True):
        sample["true_label"] = int(label)
    return labels, classes


def _small_clusters(paths: list[str]) -> np.ndarray:
    """Return the cluster of each image ``(n,)``, about ``n / 2`` of them, from 0."""
    if len(paths) < 2:
        return np.zeros(len(paths), int)
    from scipy.cluster.hierarchy import fcluster, linkage

    load = LoadImageFromFile(color_type="grayscale")
    side = (_THUMBNAIL, _THUMBNAIL)
    images = [
        mmcv.imresize(load(dict(img_path=path))["img"], side, interpolation="area")
        for path in paths
    ]
    pixels = np.stack(images).reshape(len(paths), -1).astype(np.float64)
    tree = linkage(pixels, method="ward")
    return fcluster(tree, max(1, len(paths) // 2), criterion="maxclust") - 1


NOISES = {"symmetric": plant_wrong_labels, "small_cluster": plant_small_clusters}
