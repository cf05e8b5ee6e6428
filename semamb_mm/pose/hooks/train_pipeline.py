"""What LatentTargetHook needs of a train pipeline, put there if it is missing."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.logging import print_log

from semamb_mm.pose.latent_targets.samples import insert_first, transforms_of
from semamb_mm.pose.transforms import LoadLatentTargets


def prepare_pipeline(dataset) -> tuple[list[LoadLatentTargets], object]:
    """Make a train data set's pipelines ready for latent targets.

    So a stock config needs no pipeline of its own:

    - where no pipeline has a :class:`LoadLatentTargets`, one comes first in that of
      every data set, inside all wrappers, where its own annotation is at hand;
    - codecs that round a Gaussian's centre to the cell (``MSRAHeatmap`` without
      ``unbiased``) do so no longer, or moves below one cell would be lost. Only the
      train targets change: the head's decoder is another object.

    Args:
        dataset: A data set, or any nesting of wrappers around some.

    Returns:
        What reads the store, and the ``TopdownAffine`` that is searched through.

    Raises:
        ValueError: If there is no ``TopdownAffine``.
    """
    if not _of_type(dataset, "LoadLatentTargets"):
        insert_first(dataset, LoadLatentTargets())
        print_log("Latent targets: LoadLatentTargets inserted.", logger="current")
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
    return _of_type(dataset, "LoadLatentTargets"), affine[0]


def _of_type(dataset, name: str) -> list:
    """Return the transforms whose class or one of its parents has this name."""
    return [
        step
        for step in transforms_of(dataset)
        if any(cls.__name__ == name for cls in type(step).__mro__)
    ]


def _rounding_codecs(dataset) -> Iterator:
    """Yield the codecs that round centres to the cell."""
    for step in _of_type(dataset, "GenerateTarget"):
        codecs = step.encoder if isinstance(step.encoder, list) else [step.encoder]
        yield from (c for c in codecs if getattr(c, "unbiased", None) is False)
