"""What LatentTargetHook needs of a train pipeline, put there if it is missing."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.logging import print_log

from semamb_mm.pose.latent_targets.samples import (
    insert_loader,
    is_a,
    mark_rows,
    set_converters,
    transforms_of,
)
from semamb_mm.pose.latent_targets.warp import META_KEYS
from semamb_mm.pose.transforms import LoadLatentTargets


def prepare_pipeline(dataset) -> tuple[list[LoadLatentTargets], object]:
    """Make a train data set's pipelines ready for latent targets.

    So a stock config needs no pipeline of its own:

    - where no pipeline has a :class:`LoadLatentTargets`, one comes first in that of
      every data set, inside all wrappers, where its own annotation is at hand; after
      a ``KeypointConverter``, if there is one;
    - each sample is told its row in the store, so that it is found under any wrapper;
    - codecs that round a Gaussian's centre to the cell (``MSRAHeatmap`` without
      ``unbiased``) do so no longer, or moves below one cell would be lost. Only the
      train targets change: the head's decoder is another object;
    - ``PackPoseInputs(meta_keys=...)`` also packs what the way back to the image needs.

    Args:
        dataset: A data set, or any nesting of wrappers around some.

    Returns:
        What reads the store, and the ``TopdownAffine`` that is searched through.

    Raises:
        ValueError: If there is no ``TopdownAffine``, or a ``KeypointConverter`` after
            ``LoadLatentTargets``.
    """
    if not _of_type(dataset, "LoadLatentTargets"):
        insert_loader(dataset, LoadLatentTargets())
        print_log("Latent targets: LoadLatentTargets inserted.", logger="current")
    set_converters(dataset)
    affine = _of_type(dataset, "TopdownAffine")
    if not affine:
        raise ValueError(
            "LatentTargetHook needs dict(type='TopdownAffine', ...) in the train "
            "pipeline: it brings targets back through that transform"
        )
    for codec in _rounding_codecs(dataset):
        codec.unbiased = True
        print_log(
            f"Latent targets: {type(codec).__name__}(unbiased=True) in the train "
            "pipeline, so that moves below one cell count.",
            logger="current",
        )
    _pack_all(dataset)
    mark_rows(dataset)
    loaders = _of_type(dataset, "LoadLatentTargets")
    augmenters = [step.aug for step in _of_type(dataset, "Albumentation")]
    for loader in loaders:
        loader.augmenters = [a for a in augmenters if hasattr(a, "set_random_seed")]
    return loaders, affine[0]


def _of_type(dataset, name: str) -> list:
    """Return the transforms whose class or one of its parents has this name."""
    return [step for step in transforms_of(dataset) if is_a(step, name)]


def _rounding_codecs(dataset) -> Iterator:
    """Yield the codecs that round centres to the cell."""
    for step in _of_type(dataset, "GenerateTarget"):
        codecs = step.encoder if isinstance(step.encoder, list) else [step.encoder]
        yield from (c for c in codecs if getattr(c, "unbiased", None) is False)


def _pack_all(dataset) -> None:
    """Have the meta information packed that :func:`input_warp` reads."""
    for pack in _of_type(dataset, "PackPoseInputs"):
        missing = [key for key in META_KEYS if key not in pack.meta_keys]
        if missing:
            pack.meta_keys = (*pack.meta_keys, *missing)
            print_log(
                f"Latent targets: PackPoseInputs(meta_keys=...) lacked {missing}, "
                "which lead back to the image; they are packed too.",
                logger="current",
            )
