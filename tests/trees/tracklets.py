"""Tracklets as a data set gives them."""

from collections import defaultdict
from pathlib import Path


def by_tracklet(dataset):
    """(label, camera, role) and image names of every tracklet."""
    names, keys = defaultdict(list), {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert Path(info["img_path"]).is_file()
        key = (info["gt_label"], info["camera_id"], info.get("role"))
        assert keys.setdefault(info["tracklet_id"], key) == key
        names[info["tracklet_id"]].append(Path(info["img_path"]).name)
    return keys, names
