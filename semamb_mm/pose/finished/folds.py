"""Folds of a train data set, whatever wraps it, and configs that train without one.

A fold is left out by ``indices`` of MMEngine's ``BaseDataset``, of each data set under
the wrappers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from semamb_mm.pose.latent_targets.samples import keyed_annotations, located_samples

# Samples of one picture show the same pixels.
PICTURE = "img_path"


def groups_of(
    keys: Sequence[str],
    infos: Sequence[Mapping],
    group_key: str | None = None,
    given: Mapping[str, object] | None = None,
) -> list[str]:
    """Return the group of each sample: samples of a group stay in one fold.

    Args:
        keys: ``N`` sample keys.
        infos: What the data set gives of each; ``raw_ann_info`` in it is looked at too.
        group_key: What tells the group. By default it is the video of a frame
            (``sequence_id``), else the picture, else the sample alone.
        given: Sample key to group, instead of ``group_key``.

    Raises:
        ValueError: If a sample has no group; it names it.
    """
    groups = []
    for key, info in zip(keys, infos):
        if given is not None:
            if key not in given:
                raise ValueError(
                    f"the groups lack sample {key!r}; they have {len(given)}, such as "
                    f"{next(iter(given), None)!r}"
                )
            groups.append(str(given[key]))
            continue
        known = {**(info.get("raw_ann_info") or {}), **info}
        if group_key is None:
            video = info.get("sequence_id")
            groups.append(str(known.get(PICTURE, key) if video is None else video))
            continue
        if group_key not in known:
            raise ValueError(
                f"sample {key!r} has no {group_key!r} to make groups of; it has "
                f"{sorted(known)}. Or give a JSON file of sample keys and groups"
            )
        groups.append(str(known[group_key]))
    return groups


def assign_folds(groups: Sequence[str], number: int) -> list[int]:
    """Return the fold of each sample, from 0.

    Whole groups go to the smallest fold, large ones first; among equal ones the order
    is that of a hash of their names. So folds depend on the groups alone, not on the
    order of samples nor on a seed.

    Args:
        groups: ``N``.
        number: Of folds, at least 2.

    Raises:
        ValueError: If there are fewer groups than folds.

    Example:
        >>> folds = assign_folds(["a", "b", "a", "c"], 2)
        >>> folds[0] == folds[2] != folds[1] == folds[3]
        True
    """
    sizes = Counter(groups)
    if number < 2 or len(sizes) < number:
        raise ValueError(
            f"{number} folds of {len(sizes)} groups: expected 2 or more, and no more "
            "folds than groups"
        )

    def order(group: str) -> tuple[int, bytes]:
        return -sizes[group], hashlib.blake2b(group.encode()).digest()

    filled, folds = [0] * number, {}
    for group in sorted(sizes, key=order):
        smallest = filled.index(min(filled))
        folds[group] = smallest
        filled[smallest] += sizes[group]
    return [folds[group] for group in groups]


def keep_rows(
    config: Config, samples: Sequence[tuple[BaseDataset, int]], rows: Sequence[int]
) -> Config:
    """Return a config that trains on some of its samples.

    A file of suspects that it names may be of all of them.

    Args:
        config: Stays as it is.
        samples: Of its train data set, see :func:`located_samples`.
        rows: Which of them.
    """
    config = deepcopy(config)
    kept: dict[int, list[int]] = {id(leaf): [] for leaf, _ in samples}
    for row in rows:
        leaf, index = samples[row]
        kept[id(leaf)].append(index)
    leaves = list(_leaf_configs(config.train_dataloader.dataset))
    for leaf, indices in zip(leaves, kept.values()):
        leaf["indices"] = _of_all(leaf.get("indices"), indices)
    for hook in config.get("custom_hooks") or ():
        if hook.get("suspects"):
            hook["suspects"]["subset"] = True
    return config


def check_rows(config: Config, keys: Sequence[str]) -> None:
    """See that a config of :func:`keep_rows` trains on the samples that it shall.

    Raises:
        ValueError: If a data set does not heed ``indices``.
    """
    dataset = DATASETS.build(deepcopy(config.train_dataloader.dataset))
    samples = located_samples(dataset)
    found = [key.rpartition(":")[2] for key, _ in keyed_annotations(samples)]
    wanted = [key.rpartition(":")[2] for key in keys]
    if found != wanted:
        names = sorted({type(leaf).__name__ for leaf, _ in samples})
        raise ValueError(
            f"{', '.join(names)} gives {len(found)} samples where {len(wanted)} were "
            "asked for by indices=[...]: folds need data sets that hand 'indices' on "
            "to MMEngine's BaseDataset"
        )


def _leaf_configs(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """Yield the configs of the data sets inside all wrappers, in their order."""
    parts = dataset.get("datasets") or [dataset.get("dataset")]
    if parts == [None]:
        yield dataset
    for part in filter(None, parts):
        yield from _leaf_configs(part)


def _of_all(given: int | Sequence[int] | None, chosen: list[int]) -> list[int]:
    """Return indices into all samples of those chosen from a config's own selection."""
    if given is None:
        return chosen
    if isinstance(given, int):
        return [i + min(given, 0) for i in chosen]
    return [given[i] for i in chosen]
