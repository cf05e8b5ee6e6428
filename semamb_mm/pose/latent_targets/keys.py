"""Names of samples that stay the same from run to run and worker to worker."""

from __future__ import annotations

import os.path as osp


def sample_key(data_info: dict, dataset=None) -> str:
    """Return the stable name under which a sample's latent targets are kept.

    A data set that gives ``sample_key`` itself decides. Otherwise the key is
    ``<dataset_name>/<image path>#<annotation id>``, the path taken relative
    to the data set's image folder, so that a moved data root keeps its
    targets.

    Args:
        data_info: What the data set gives the pipeline; ``img_path`` and
            ``id`` are read, ``dataset_name`` if present.
        dataset: The data set, for its image folder.

    Raises:
        KeyError: If neither ``sample_key`` nor ``img_path`` and ``id`` exist.
    """
    if "sample_key" in data_info:
        return str(data_info["sample_key"])
    if "img_path" not in data_info or "id" not in data_info:
        raise KeyError(
            "latent targets need to tell samples apart: the data set must give "
            "'sample_key', or both 'img_path' and 'id'; it gives "
            f"{sorted(data_info)}"
        )
    path = osp.normpath(str(data_info["img_path"]))
    root = (getattr(dataset, "data_prefix", None) or {}).get("img")
    if isinstance(root, str) and root:
        relative = osp.relpath(path, root)
        if not relative.startswith(".."):
            path = relative
    name = data_info.get("dataset_name", "")
    return f"{name}/{path}#{data_info['id']}"
