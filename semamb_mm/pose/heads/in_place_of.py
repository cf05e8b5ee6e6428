"""Which head takes a stock head's place, and how it is found in a model."""

from __future__ import annotations

from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import nn


def type_in_place_of(stock: str) -> str | None:
    """Return the type that takes a stock head's place; None if there is none."""
    ours = f"SemanticAlignment{stock}"
    if stock in ("HeatmapHead", "CPMHead"):
        ours = "SemanticAlignmentHead"
    return None if MODELS.get(ours) is None else ours


def observed_head(model: nn.Module):
    """Return a model's head, whose heatmaps can be observed.

    It may be the ``pose_head`` of another one, such as ``VisPredictHead``.

    Raises:
        TypeError: If the model has another one; it says which to give.
    """
    head = getattr(model, "head", None)
    for candidate in (head, getattr(head, "pose_head", None)):
        if hasattr(candidate, "register_heatmap_observer"):
            return candidate
    inner = getattr(head, "pose_head", None)
    key = "model.head" if inner is None else "model.head.pose_cfg"
    raise TypeError(_what_to_give(key, type(head if inner is None else inner).__name__))


def align_head(model: ConfigDict) -> None:
    """Change a model's config: a head that can be observed in the stock head's place.

    Layers, their names and predictions stay the same. One that can be observed already
    stays.

    Args:
        model: The config's ``model``.

    Raises:
        TypeError: If no head can take its place; it names those that can.
    """
    head, key = model.get("head") or {}, "model.head"
    if "pose_cfg" in head:
        head, key = head["pose_cfg"], "model.head.pose_cfg"
    kind = head.get("type")
    name = getattr(kind, "__name__", str(kind)).rpartition(".")[-1]
    registered = MODELS.get(name)
    if registered is not None and hasattr(registered, "register_heatmap_observer"):
        return
    ours = type_in_place_of(name)
    if ours is None:
        raise TypeError(_what_to_give(key, name))
    head["type"] = ours


def check_landmarks(head, dataset, num_keypoints: int) -> None:
    """See that a head has a heatmap for each landmark.

    Raises:
        ValueError: If not.
    """
    if head.num_landmarks != num_keypoints:
        raise ValueError(
            f"the model finds {head.num_landmarks} landmarks (model.head.out_channels="
            f"{head.out_channels}), but the train data set has {num_keypoints} "
            f"({type(dataset).__name__}'s annotations): set model.head.out_channels "
            "to fit the data"
        )


def _what_to_give(key: str, stock: str) -> str:
    """Return a message about a head that cannot be observed."""
    ours = type_in_place_of(stock)
    if ours is None:
        return (
            f"LatentTargetHook cannot search {key}.type='{stock}': there is no type "
            "that takes its place. Heads of heatmaps (SemanticAlignmentHead) and of "
            "SimCC distributions (SemanticAlignmentRTMCCHead) can be searched, see "
            "'Which heads work' in docs/semantic_alignment.md"
        )
    return (
        f"LatentTargetHook cannot search {key}.type='{stock}': give {key}.type='{ours}'"
        ", with the same arguments"
    )
