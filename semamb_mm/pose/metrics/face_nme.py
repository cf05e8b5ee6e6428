"""Errors of face landmarks, divided by the size of the face.

The functions are plain numpy: ``(N, K, 2)`` landmarks of N faces in image pixels,
NaN where a landmark is not visible. :class:`FaceNME` applies them in MMPose.
"""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from mmpose.utils.tensor_utils import to_numpy

from ..landmark_groups import GROUPS_68

REGIONS_68 = {
    region: tuple(GROUPS_68[region])
    for region in ("contour", "brows", "nose", "eyes", "mouth")
}
# Norm to the landmarks of one eye and of the other, 300W's 68 points.
EYE_INDICES_68 = dict(
    inter_pupil=(tuple(range(36, 42)), tuple(range(42, 48))),
    inter_ocular=((36,), (45,)),
)
EYE_NORMS = ("inter_pupil", "inter_ocular")
BOX_NORMS = ("bbox_size", "bbox_diagonal")
NOTHING_VISIBLE = "no landmark to measure is visible"
NUM_NAMES_SHOWN = 10


def face_norms(
    keypoints: np.ndarray,
    norm: str,
    boxes: np.ndarray | None = None,
    eye_indices: Mapping[str, Sequence[Sequence[int]]] = EYE_INDICES_68,
) -> np.ndarray:
    """The length that the errors of each face are divided by.

    Args:
        keypoints: ``(N, K, 2)`` true landmarks in pixels, NaN where not visible.
        norm: ``'inter_pupil'``, between the means of the two eyes' landmarks;
            ``'inter_ocular'``, between the outer eye corners; ``'bbox_size'``,
            the square root of width x height; or ``'bbox_diagonal'``.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels for the box norms. Defaults to
            the tight box around the visible landmarks.
        eye_indices: Eye norm to the landmark indices of one eye and of the other.

    Returns:
        ``(N,)`` in pixels. NaN where a landmark that an eye norm needs is not
        visible: a mean over some of an eye's landmarks lies elsewhere.
    """
    if norm in EYE_NORMS:
        one, other = (
            keypoints[:, list(indices)].mean(axis=1) for indices in eye_indices[norm]
        )
        return np.linalg.norm(one - other, axis=-1)
    if norm not in BOX_NORMS:
        raise ValueError(f"norm is {norm!r}; expected one of {EYE_NORMS + BOX_NORMS}")
    if boxes is None:
        low, high = np.fmin.reduce(keypoints, 1), np.fmax.reduce(keypoints, 1)
    else:
        low, high = boxes[:, :2], boxes[:, 2:]
    sides = np.maximum(high - low, 0)
    if norm == "bbox_size":
        return np.sqrt(sides.prod(axis=-1))
    return np.linalg.norm(sides, axis=-1)


def landmark_errors(predicted: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Distances of predicted from true landmarks, both ``(..., K, 2)``.

    Returns:
        ``(..., K)`` in the landmarks' unit; NaN where a landmark is.
    """
    return np.linalg.norm(predicted - keypoints, axis=-1)


def mean_visible(errors: np.ndarray, axis: int) -> np.ndarray:
    """Mean over an axis without the NaN of landmarks that are not visible.

    Returns:
        The shape of ``errors`` less the axis; NaN where nothing is visible.
    """
    visible = ~np.isnan(errors)
    count = visible.sum(axis=axis)
    total = np.where(visible, errors, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def failure_rate(errors: np.ndarray, threshold: float) -> float:
    """Share of faces with an error above the threshold.

    Args:
        errors: ``(N,)`` mean error of each face, a fraction of its norm.
        threshold: In the same unit.
    """
    return float(np.mean(_face_errors(errors) > threshold))


def ced_auc(errors: np.ndarray, threshold: float) -> float:
    """Area under the cumulative error distribution up to a threshold.

    The curve, the share of faces with an error of at most e, is a step function;
    its integral over 0 <= e <= threshold, divided by the threshold, is exactly
    ``1 - mean(min(error, threshold)) / threshold``: 1 if all errors are 0, 0 if
    none is below the threshold. (Curves sampled on a grid give values that differ
    by about the grid's step.)

    Args:
        errors: ``(N,)`` mean error of each face, a fraction of its norm.
        threshold: The last error that counts, in the same unit.
    """
    capped = np.minimum(_face_errors(errors) / threshold, 1)
    return float(np.clip(1 - capped.mean(), 0, 1))


def _face_errors(errors: np.ndarray) -> np.ndarray:
    errors = np.asarray(errors, np.float64)
    if errors.ndim != 1 or not len(errors) or not np.isfinite(errors).all():
        raise ValueError(
            "expected finite errors (N,) of at least one face, got "
            f"{np.isfinite(errors).sum()} finite ones in shape {errors.shape}"
        )
    return errors


@METRICS.register_module()
class FaceNME(BaseMetric):
    """Normalised mean error of face landmarks, and the figures that go with it.

    For every norm, all of them fractions (MMPose's convention; the logged table
    is in percent):

    - ``NME/<norm>``: mean over faces of the mean over each face's visible
      landmarks. (MMPose's ``NME`` takes the mean over the visible landmarks of
      all faces at once; the two agree where all landmarks are visible.)
    - ``NME/<norm>/<region>``: the same over a region's landmarks; faces that show
      none of them do not count, and a region that no face shows is left out.
    - ``FR@<threshold>/<norm>``: share of faces with an error above the threshold.
    - ``AUC@<threshold>/<norm>``: area under the cumulative error curve up to the
      threshold, exact (:func:`ced_auc`).

    and ``num_skipped``, the number of faces that could not be measured.

    ``CheckpointHook(save_best='NME/inter_pupil', rule='less')`` works as it is
    (MMEngine puts ``_`` for ``/`` in the file's name), and so does
    ``save_best='auto'`` with the rule: it takes the first norm's NME.

    Args:
        norms (Sequence[str]): Of ``'inter_pupil'``, ``'inter_ocular'``,
            ``'bbox_size'`` and ``'bbox_diagonal'``, see :func:`face_norms`.
            The first comes first in the results. Defaults to
            ``('inter_pupil', 'inter_ocular')``.
        failure_thresholds (Sequence[float]): As fractions of a norm. Defaults to
            ``(0.08, 0.10)``.
        auc_threshold (float): As a fraction of a norm. Defaults to 0.08.
        regions (dict[str, Sequence[int]], optional): Region to its landmarks.
            Defaults to contour, brows, nose, eyes and mouth for 68 landmarks, to
            none for other mark-ups.
        eye_indices (dict, optional): The landmarks of either eye for the eye
            norms, e.g. ``dict(inter_ocular=(60, 72))`` for WFLW or
            ``dict(inter_pupil=((36, ..., 41), (42, ..., 47)))``. Defaults to those
            of 300W for 68 landmarks; other mark-ups must name theirs.
        box (str): The box of the box norms: ``'landmarks'``, tight around the
            visible true landmarks, or ``'annotation'``, ``gt_instances.bboxes``
            (the data set's own box in the original image, before any padding; it
            may be a detector's). MMPose's ``NME`` with ``'bbox_size'`` divides by
            the longer side of the latter. Defaults to ``'landmarks'``.
        subset (Sequence[int] | str, optional): Measure only these landmarks, or
            those that are true in this field of ``gt_instances`` ``(1, K)``, for
            instance the occluded ones. Norms are those of the whole face, faces
            that show nothing of the subset are skipped. Defaults to all.
        on_invalid (str): What to do with a face that cannot be measured: a norm
            of 0 (profile faces, coinciding points) or without its landmarks, a
            visible landmark or its prediction that is not finite. ``'error'``, or
            ``'skip'``: count it, warn once, leave it out under every norm (note
            that skipping faces for which a model predicts NaN flatters it). A face
            without visible landmarks is skipped and counted in either case.
            Defaults to ``'error'``.
        outfile_prefix (str, optional): Write, overwriting those of the last
            evaluation, ``<prefix>.json`` (all figures, and the faces skipped),
            ``<prefix>_faces.csv`` (error of each face),
            ``<prefix>_landmarks.csv`` (mean error of each landmark) and
            ``<prefix>_ced.csv`` (cumulative error curve: the share of faces with
            an error of at most so much). Errors are fractions. Defaults to none.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Put before every key, with a slash.
    """

    def __init__(
        self,
        norms: Sequence[str] = ("inter_pupil", "inter_ocular"),
        failure_thresholds: Sequence[float] = (0.08, 0.10),
        auc_threshold: float = 0.08,
        regions: Mapping[str, Sequence[int]] | None = None,
        eye_indices: Mapping[str, Sequence] | None = None,
        box: str = "landmarks",
        subset: Sequence[int] | str | None = None,
        on_invalid: str = "error",
        outfile_prefix: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.norms = (norms,) if isinstance(norms, str) else tuple(norms)
        known = EYE_NORMS + BOX_NORMS
        if not set(self.norms) <= set(known) or not self.norms:
            raise ValueError(f"FaceNME: norms is {norms!r}; expected some of {known}")
        if len(set(self.norms)) < len(self.norms):
            raise ValueError(f"FaceNME: norms {norms!r} names one twice")
        if box not in ("landmarks", "annotation"):
            raise ValueError(
                f"FaceNME: box is {box!r}; expected 'landmarks' or 'annotation'"
            )
        if on_invalid not in ("error", "skip"):
            raise ValueError(
                f"FaceNME: on_invalid is {on_invalid!r}; expected 'error' or 'skip'"
            )
        self.failure_thresholds = tuple(failure_thresholds)
        self.auc_threshold = auc_threshold
        if not all(0 < t < np.inf for t in (*self.failure_thresholds, auc_threshold)):
            raise ValueError(
                f"FaceNME: failure_thresholds {self.failure_thresholds} and "
                f"auc_threshold {auc_threshold} must be positive and finite"
            )
        self.box = box
        self.subset = subset
        self.on_invalid = on_invalid
        self.outfile_prefix = outfile_prefix
        self.regions = regions
        self.eye_indices = None
        if eye_indices is not None:
            self.eye_indices = self._read_eye_indices(eye_indices)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measure each sample and keep what :meth:`measure` returns of it."""
        for sample in data_samples:
            self.results.append(self.measure(sample))

    def measure(self, sample: dict) -> dict:
        """Measure one sample, usually of one face.

        Args:
            sample: With ``gt_instances`` ``keypoints`` ``(M, K, 2)``,
                ``keypoints_visible`` ``(M, K)`` or ``(M, K, 2)`` and, for
                ``box='annotation'``, ``bboxes`` ``(M, 4)``; ``pred_instances``
                ``keypoints`` ``(M, K, 2)``.

        Returns:
            ``name``; ``errors`` ``(M, K)`` in pixels, NaN where not visible;
            ``norms`` ``(M, number of norms)`` in pixels; ``faults``, for each face
            why it cannot be measured, or ``''``.
        """
        name = str(sample.get("img_path", f"sample {sample.get('id', 'unknown')}"))
        truth = self._field(sample, "gt_instances", "keypoints", name)[..., :2]
        predicted = self._field(sample, "pred_instances", "keypoints", name)[..., :2]
        visible = self._field(sample, "gt_instances", "keypoints_visible", name)
        if predicted.shape != truth.shape:
            raise ValueError(
                f"FaceNME: {name}: predicted keypoints have shape {predicted.shape}, "
                f"annotated ones {truth.shape}; expected the same (faces, landmarks, 2)"
            )
        num_faces, num_keypoints = truth.shape[:2]
        eye_indices = self._check_indices(num_keypoints)
        visible = visible.reshape(num_faces, num_keypoints, -1)[..., 0] > 0
        boxes = None
        if self.box == "annotation":
            boxes = self._field(sample, "gt_instances", "bboxes", name).reshape(-1, 4)

        truth = np.where(visible[..., None], truth, np.nan)
        norms = np.stack(
            [face_norms(truth, norm, boxes, eye_indices) for norm in self.norms], 1
        )
        measured = visible & self._subset_mask(sample, name, visible.shape)
        errors = np.where(measured, landmark_errors(predicted, truth), np.nan)
        faults = [self._fault(*face) for face in zip(errors, measured, norms)]
        for fault in faults:
            if fault and fault != NOTHING_VISIBLE and self.on_invalid == "error":
                raise ValueError(
                    f"FaceNME: {name}: {fault}; mend the data or the model, take "
                    "another norm, or leave such faces out by on_invalid='skip'"
                )
        return dict(name=name, errors=errors, norms=norms, faults=faults)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """All figures over all faces, as fractions; see the class."""
        logger = MMLogger.get_current_instance()
        sizes = sorted({result["errors"].shape[1] for result in results})
        if len(sizes) != 1:
            raise ValueError(
                f"FaceNME: expected faces of one mark-up, got {len(results)} samples "
                f"with {sizes} landmarks"
            )
        names = [result["name"] for result in results for _ in result["faults"]]
        faults = [fault for result in results for fault in result["faults"]]
        skipped = defaultdict(list)
        for name, fault in zip(names, faults):
            if fault:
                skipped[fault].append(name)
        if skipped:
            self._warn(logger, skipped, len(faults))
        used = np.array([not fault for fault in faults])
        if not used.any():
            raise ValueError(
                f"FaceNME: none of {len(faults)} faces could be measured: "
                + _count(skipped)
            )
        errors = np.concatenate([result["errors"] for result in results])[used]
        norms = np.concatenate([result["norms"] for result in results])[used]
        relative = {
            norm: errors / norms[:, i, None] for i, norm in enumerate(self.norms)
        }
        metrics = self.figures(relative)
        metrics["num_skipped"] = float((~used).sum())
        logger.info(self._table(metrics, int(used.sum())))
        if self.outfile_prefix is not None:
            faces = [name for name, fault in zip(names, faults) if not fault]
            self._write(metrics, faces, relative, skipped)
        return metrics

    def figures(self, relative: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The figures of a group of faces.

        Args:
            relative: Norm to ``(N, K)`` errors as fractions of it, NaN where a
                landmark is not measured; each face has one that is.
        """
        metrics = {}
        for norm, errors in relative.items():
            faces = mean_visible(errors, axis=1)
            metrics[f"NME/{norm}"] = float(faces.mean())
            for region, indices in self._regions(errors.shape[1]).items():
                part = mean_visible(errors[:, list(indices)], axis=1)
                if not np.isnan(part).all():
                    metrics[f"NME/{norm}/{region}"] = float(np.nanmean(part))
            for threshold in self.failure_thresholds:
                metrics[f"FR@{threshold:g}/{norm}"] = failure_rate(faces, threshold)
            threshold = self.auc_threshold
            metrics[f"AUC@{threshold:g}/{norm}"] = ced_auc(faces, threshold)
        return metrics

    # reading a sample

    @staticmethod
    def _field(sample: dict, group: str, field: str, name: str) -> np.ndarray:
        if group not in sample or field not in sample[group]:
            raise KeyError(f"FaceNME: {name}: no {group}.{field} in the data sample")
        return np.asarray(to_numpy(sample[group][field]), np.float64)

    def _fault(self, errors: np.ndarray, measured: np.ndarray, norms) -> str:
        """Why a face cannot be measured, or ''."""
        if not measured.any():
            return NOTHING_VISIBLE
        if not np.isfinite(errors[measured]).all():
            return "a visible landmark or its prediction is not finite"
        for norm, length in zip(self.norms, norms):
            if not np.isfinite(length):
                return f"a landmark that {norm} needs is not visible or not finite"
            if not (length > 0 and np.isfinite(errors[measured] / length).all()):
                return f"{norm} is {length:g} px"
        return ""

    def _subset_mask(self, sample: dict, name: str, shape: tuple) -> np.ndarray:
        if self.subset is None:
            return np.ones(shape, bool)
        if isinstance(self.subset, str):
            mask = self._field(sample, "gt_instances", self.subset, name)
            return mask.reshape(shape) > 0
        return np.isin(np.broadcast_to(np.arange(shape[1]), shape), list(self.subset))

    # landmark indices

    def _read_eye_indices(self, eye_indices: Mapping[str, Sequence]) -> dict:
        needed = [norm for norm in self.norms if norm in EYE_NORMS]
        missing = [norm for norm in needed if norm not in eye_indices]
        if missing:
            raise ValueError(
                f"FaceNME: eye_indices has no {missing[0]!r}, which is in norms "
                f"{self.norms}"
            )
        for norm, eyes in eye_indices.items():
            if norm not in EYE_NORMS or len(eyes) != 2:
                raise ValueError(
                    f"FaceNME: eye_indices[{norm!r}] is {eyes!r}; expected one of "
                    f"{EYE_NORMS} and the landmarks of one eye and of the other"
                )
        return {
            norm: tuple(tuple(np.atleast_1d(eye).tolist()) for eye in eyes)
            for norm, eyes in eye_indices.items()
        }

    def _regions(self, num_keypoints: int) -> Mapping[str, Sequence[int]]:
        if self.regions is not None:
            return self.regions
        return REGIONS_68 if num_keypoints == 68 else {}

    def _check_indices(self, num_keypoints: int) -> Mapping:
        """Check all indices against the data; returns the eyes' indices."""
        needed = [norm for norm in self.norms if norm in EYE_NORMS]
        if needed and self.eye_indices is None and num_keypoints != 68:
            raise ValueError(
                f"FaceNME: the eyes of faces with {num_keypoints} landmarks are not "
                f"known; give eye_indices=dict({needed[0]}=(one eye's landmarks, the "
                "other's)), or norms of the box"
            )
        eye_indices = self.eye_indices or EYE_INDICES_68
        groups = {f"eye_indices[{n!r}]": sum(eye_indices[n], ()) for n in needed}
        for region, indices in self._regions(num_keypoints).items():
            groups[f"regions[{region!r}]"] = tuple(indices)
        if self.subset is not None and not isinstance(self.subset, str):
            groups["subset"] = tuple(self.subset)
        for key, indices in groups.items():
            for index in indices:
                if index not in range(num_keypoints):
                    raise ValueError(
                        f"FaceNME: {key} names landmark {index!r}; the data have "
                        f"landmarks 0 to {num_keypoints - 1}"
                    )
            if len(set(indices)) < len(indices) or not indices:
                raise ValueError(
                    f"FaceNME: {key} is {indices}; expected each landmark once"
                )
        return eye_indices

    # reporting

    @staticmethod
    def _warn(logger: MMLogger, skipped: Mapping, num_faces: int) -> None:
        names = [name for group in skipped.values() for name in group]
        more = len(names) - NUM_NAMES_SHOWN
        logger.warning(
            f"FaceNME: {len(names)} of {num_faces} faces could not be measured and "
            f"were skipped ({_count(skipped)}): {', '.join(names[:NUM_NAMES_SHOWN])}"
            + (f" and {more} more" if more > 0 else "")
        )

    def _table(self, metrics: Mapping[str, float], num_faces: int) -> str:
        def column(key: str) -> str:
            kind, _, region = key.split("/") if key.count("/") == 2 else (key, "", "")
            return region or kind.split("/")[0]

        rows = {
            norm: {
                column(key): value
                for key, value in metrics.items()
                if key.split("/")[1:2] == [norm]
            }
            for norm in self.norms
        }
        columns = list(rows[self.norms[0]])
        width = max(len(norm) for norm in self.norms)
        cell = max(8, *(len(name) for name in columns)) + 2
        lines = [
            f"FaceNME of {num_faces} faces, in percent",
            " " * width + "".join(f"{name:>{cell}}" for name in columns),
        ]
        for norm, row in rows.items():
            cells = "".join(f"{100 * row[name]:>{cell}.2f}" for name in columns)
            lines.append(f"{norm:<{width}}{cells}")
        return "\n".join(lines)

    def _write(
        self,
        metrics: Mapping[str, float],
        faces: Sequence[str],
        relative: Mapping[str, np.ndarray],
        skipped: Mapping[str, Sequence[str]],
    ) -> None:
        """Write the four files of ``outfile_prefix``."""
        face = [mean_visible(errors, axis=1) for errors in relative.values()]
        landmark = [mean_visible(errors, axis=0) for errors in relative.values()]
        counts = (~np.isnan(relative[self.norms[0]])).sum(axis=0)
        shares = np.arange(1, len(faces) + 1) / len(faces)
        tables = dict(
            faces=(("face", *self.norms), zip(faces, *face)),
            landmarks=(
                ("landmark", "num_faces", *self.norms),
                zip(range(len(counts)), counts, *landmark),
            ),
            ced=(("share_of_faces", *self.norms), zip(shares, *map(np.sort, face))),
        )
        for suffix, (header, rows) in tables.items():
            _write_whole(
                f"{self.outfile_prefix}_{suffix}.csv",
                lambda file, table=(header, *rows): csv.writer(file).writerows(
                    [_cell(value) for value in row] for row in table
                ),
            )
        content = dict(metrics=metrics, num_faces=len(faces), skipped=skipped)
        _write_whole(
            f"{self.outfile_prefix}.json",
            lambda file: json.dump(content, file, indent=2),
        )


def _count(skipped: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(names)}: {fault}" for fault, names in skipped.items())


def _cell(value) -> Any:
    """A CSV cell: floats short, what could not be measured empty."""
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.8g}"


def _write_whole(path: str | os.PathLike, write: Callable[[TextIO], Any]) -> None:
    """Write a text file that appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            write(file)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
