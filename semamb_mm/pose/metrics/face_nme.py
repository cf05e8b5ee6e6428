"""The errors of :mod:`~semamb_mm.faces.errors` as a metric of MMPose."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from mmpose.utils.tensor_utils import to_numpy

from semamb_mm.faces.errors import (
    ced_auc,
    failure_rate,
    landmark_errors,
    mean_visible,
)
from semamb_mm.faces.landmarks import EYE_INDICES_68, NUM_LANDMARKS, REGIONS_68
from semamb_mm.faces.sizes import BOX_NORMS, EYE_NORMS, face_norms
from semamb_mm.formats.files import atomic_write
from semamb_mm.pictures.error_curves import draw_error_curves

from .measured_faces import ALL_FACES, Evaluation, MeasuredFaces, percent_table

NOTHING_VISIBLE = "no landmark to measure is visible"
NUM_NAMES_SHOWN = 10


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

    and ``num_skipped``, the number of faces that could not be measured. With
    ``groups`` the same figures follow for each group, its name in front:
    ``common/NME/inter_pupil``.

    ``CheckpointHook(save_best='NME/inter_pupil', rule='less')`` works as it is
    (MMEngine puts ``_`` for ``/`` in the file's name), and so does
    ``save_best='auto'`` with the rule: it takes the first norm's NME.

    Example:
        ```python
        val_evaluator = dict(_delete_=True, type='FaceNME', norms=('inter_ocular',))
        test_evaluator = val_evaluator
        ```

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
        include_hidden (bool): Whether norms and errors also count the landmarks that
            are annotated but marked as not visible, such as those outside the image.
            The protocols of 300W and 300-VW count all 68. Not for data that write
            some coordinates for landmarks without a label. Defaults to False.
        groups (str | dict[str, str], optional): What the faces are divided into: a
            key of the samples' metainfo that holds the group's name (``''``: in
            none), such as ``'category'`` for 300-VW; or group to a regular
            expression that is searched in ``img_path``, ignoring case, with ``/``
            between folders. Each face must match just one: for 300W,
            ``dict(common=r'(^|/)(helen|lfpw)/test(set)?/[^/]*$',
            challenge=r'(^|/)ibug/[^/]*$')``. Defaults to none.
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
            evaluation, ``<prefix>.json`` (all figures, what was measured, the
            size of each group, and the faces skipped), ``<prefix>_faces.csv``
            (error of each face), ``<prefix>_landmarks.csv`` (mean error of each
            landmark), ``<prefix>_ced.csv`` (cumulative error curve: the share of
            faces with an error of at most so much; all faces, then each group) and
            ``<prefix>_ced.png``, its picture. Errors are fractions. Defaults to
            none.
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
        include_hidden: bool = False,
        groups: str | Mapping[str, str] | None = None,
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
        self.include_hidden = include_hidden
        self.groups = groups
        if isinstance(groups, Mapping):
            self.groups = self._read_groups(groups)
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
            why it cannot be measured, or ``''``; ``labels``, see
            :class:`MeasuredFaces`.
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
        if self.include_hidden:
            visible |= np.isfinite(truth).all(axis=-1)
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
                    f"FaceNME: {name}: {fault}; fix the data or the model, take "
                    "another norm, or leave such faces out by on_invalid='skip'"
                )
        labels = {} if self.groups is None else dict(group=self._group(sample, name))
        return dict(name=name, errors=errors, norms=norms, faults=faults, labels=labels)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Return all figures over all faces, as fractions; see the class."""
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
        faces = self._gather(results, np.array(names), used)
        figures = {
            group: self.figures(members)
            for group, members in faces.everyone_and("group").items()
        }
        metrics = figures.pop(ALL_FACES)
        logger.info(self._table(faces, {ALL_FACES: metrics, **figures}))
        metrics["num_skipped"] = float((~used).sum())
        for group, of_group in figures.items():
            metrics.update({f"{group}/{key}": v for key, v in of_group.items()})
        if self.outfile_prefix is not None:
            self._write(Evaluation(metrics, faces, skipped))
        return metrics

    def figures(self, faces: MeasuredFaces) -> dict[str, float]:
        """Return the figures of some faces, without those that none of them has."""
        metrics = {}
        for norm, errors in faces.relative.items():
            means = mean_visible(errors, axis=1)
            metrics[f"NME/{norm}"] = float(means.mean())
            for region, indices in self._regions(errors.shape[1]).items():
                part = mean_visible(errors[:, list(indices)], axis=1)
                if not np.isnan(part).all():
                    metrics[f"NME/{norm}/{region}"] = float(np.nanmean(part))
            for threshold in self.failure_thresholds:
                metrics[f"FR@{threshold:g}/{norm}"] = failure_rate(means, threshold)
            threshold = self.auc_threshold
            metrics[f"AUC@{threshold:g}/{norm}"] = ced_auc(means, threshold)
        for key, values in faces.averages.items():
            if not np.isnan(values).all():
                metrics[key] = float(np.nanmean(values))
        return metrics

    def averages(self, results: list[dict], used: np.ndarray) -> dict[str, np.ndarray]:
        """Return further figures to average: ``<figure>/<norm>`` to ``(N,)`` values.

        Args:
            results: What :meth:`measure` returned.
            used: Which of their faces can be measured, N of them.
        """
        return {}

    def _gather(
        self, results: list[dict], names: np.ndarray, used: np.ndarray
    ) -> MeasuredFaces:
        errors = np.concatenate([result["errors"] for result in results])[used]
        norms = np.concatenate([result["norms"] for result in results])[used]
        labels = {
            kind: np.array([r["labels"][kind] for r in results for _ in r["faults"]])
            for kind in results[0]["labels"]
        }
        return MeasuredFaces(
            names=names[used],
            labels={kind: label[used] for kind, label in labels.items()},
            relative={
                norm: errors / norms[:, i, None] for i, norm in enumerate(self.norms)
            },
            averages=self.averages(results, used),
        )

    # reading a sample

    @staticmethod
    def _field(sample: dict, group: str, field: str, name: str) -> np.ndarray:
        if group not in sample or field not in sample[group]:
            raise KeyError(f"FaceNME: {name}: no {group}.{field} in the data sample")
        return np.asarray(to_numpy(sample[group][field]), np.float64)

    @staticmethod
    def _metainfo(sample: dict, key: str, name: str) -> Any:
        if key not in sample:
            raise KeyError(
                f"FaceNME: {name}: no {key!r} in the data sample's metainfo; the data "
                f"set must give it and PackPoseInputs(meta_keys=(..., {key!r})) pack it"
            )
        return sample[key]

    def _group(self, sample: dict, name: str) -> str:
        """Return the group of a sample's faces, or an empty text."""
        if isinstance(self.groups, str):
            group = str(self._metainfo(sample, self.groups, name))
            _check_group(group, f"{name}: metainfo {self.groups!r}")
            return group
        path = str(self._metainfo(sample, "img_path", name)).replace("\\", "/")
        found = [group for group, regex in self.groups.items() if regex.search(path)]
        if len(found) != 1:
            patterns = {group: regex.pattern for group, regex in self.groups.items()}
            raise ValueError(
                f"FaceNME: {name} matches {found or 'none'} of the groups {patterns}; "
                "expected just one. Fix the metric's groups or the data set's folders"
            )
        return found[0]

    @staticmethod
    def _read_groups(groups: Mapping[str, str]) -> dict[str, re.Pattern]:
        for group, pattern in groups.items():
            _check_group(group, "groups")
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"FaceNME: groups[{group!r}] is {pattern!r}, which is not a "
                    f"regular expression: {error}"
                ) from error
        return {group: re.compile(p, re.IGNORECASE) for group, p in groups.items()}

    def _fault(self, errors: np.ndarray, measured: np.ndarray, norms) -> str:
        """Return why a face cannot be measured, or an empty text."""
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
        return REGIONS_68 if num_keypoints == NUM_LANDMARKS else {}

    def _check_indices(self, num_keypoints: int) -> Mapping:
        """Check all indices against the data; return the eyes' indices."""
        needed = [norm for norm in self.norms if norm in EYE_NORMS]
        if needed and self.eye_indices is None and num_keypoints != NUM_LANDMARKS:
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

    def _table(
        self, faces: MeasuredFaces, figures: Mapping[str, Mapping[str, float]]
    ) -> str:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in faces.by("group"))
        rows = {
            norm if len(figures) == 1 else f"{norm}, {group}": _columns(row, norm)
            for norm in self.norms
            for group, row in figures.items()
        }
        return (
            f"FaceNME of {len(faces)} faces{sizes and f' ({sizes})'}, in percent\n"
            + percent_table(rows)
        )

    def content(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return what ``<prefix>.json`` holds."""
        metrics, faces, skipped = evaluation
        subset = self.subset
        return dict(
            dataset=(self.dataset_meta or {}).get("dataset_name"),
            box=self.box,
            include_hidden=self.include_hidden,
            subset=subset if subset is None or isinstance(subset, str) else [*subset],
            metrics=metrics,
            num_faces=len(faces),
            groups={group: len(members) for group, members in faces.by("group")},
            skipped=skipped,
        )

    def tables(self, faces: MeasuredFaces) -> dict[str, tuple[Sequence, Iterable]]:
        """Return suffixes of CSV files to their headers and rows."""
        errors = faces.errors()
        landmarks = [mean_visible(e, axis=0) for e in faces.relative.values()]
        counts = (~np.isnan(faces.relative[self.norms[0]])).sum(axis=0)
        face_columns = {"face": faces.names, **faces.labels, **errors, **faces.averages}
        return dict(
            faces=(face_columns, zip(*face_columns.values())),
            landmarks=(
                ("landmark", "num_faces", *self.norms),
                zip(range(len(counts)), counts, *landmarks),
            ),
            ced=self._curves_table(faces),
        )

    def _curves_table(self, faces: MeasuredFaces) -> tuple[Sequence, Iterable]:
        header = ("group", "share_of_faces", *self.norms)
        rows = faces.error_curves("group")
        if "group" in faces.labels:
            return header, rows
        return header[1:], (row[1:] for row in rows)

    def _draw_curves(self, path: str, faces: MeasuredFaces) -> None:
        curves = {norm: {} for norm in self.norms}
        for group, members in faces.everyone_and("group").items():
            for norm, errors in members.errors().items():
                area = ced_auc(errors, self.auc_threshold)
                label = f"{group}: {len(members)} faces, AUC {100 * area:.1f} %"
                curves[norm][label] = errors
        limit = max((self.auc_threshold, *self.failure_thresholds))
        draw_error_curves(path, curves, limit)

    def _write(self, evaluation: Evaluation) -> None:
        """Write the files of ``outfile_prefix``."""
        faces = evaluation.faces
        for suffix, (header, rows) in self.tables(faces).items():
            path = f"{self.outfile_prefix}_{suffix}.csv"
            with atomic_write(path, newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(
                    [_cell(value) for value in row] for row in (header, *rows)
                )
        self._draw_curves(f"{self.outfile_prefix}_ced.png", faces)
        with atomic_write(f"{self.outfile_prefix}.json", encoding="utf-8") as file:
            json.dump(self.content(evaluation), file, indent=2)


def _check_group(group: str, source: str) -> None:
    if "/" in group or group == ALL_FACES:
        raise ValueError(
            f"FaceNME: {source} names a group {group!r}; expected a name without '/' "
            f"other than {ALL_FACES!r}"
        )


def _columns(figures: Mapping[str, float], norm: str) -> dict[str, float]:
    """Return columns of the logged table to a norm's figures."""
    columns = {}
    for key, value in figures.items():
        figure, of_norm, *region = key.split("/")
        if of_norm == norm:
            columns[region[0] if region else figure] = value
    return columns


def _count(skipped: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(names)}: {fault}" for fault, names in skipped.items())


def _cell(value) -> Any:
    """Return a CSV cell: floats short, what could not be measured empty."""
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.8g}"
