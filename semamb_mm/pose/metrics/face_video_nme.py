"""FaceNME for videos: jitter, and figures of each sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from semamb_mm.faces.errors import frame_step, jitter, middle_frames

from .face_nme import FaceNME
from .measured_faces import Evaluation, MeasuredFaces, percent_table

JITTERS = ("jitter", "jitter_of_annotation", "jitter_of_error")


@METRICS.register_module()
class FaceVideoNME(FaceNME):
    """:class:`FaceNME` of videos with one face in each frame, such as 300-VW.

    Besides the figures of :class:`FaceNME`, for every norm, the mean over frames of
    :func:`~semamb_mm.faces.errors.jitter`, the length of the landmarks'
    second difference over three consecutive frames, as a fraction of the middle
    frame's norm:

    - ``jitter/<norm>``: of the predicted landmarks. The face's own motion is in it.
    - ``jitter_of_annotation/<norm>``: of the annotated ones, over the same frames and
      landmarks: what a perfect detector would have.
    - ``jitter_of_error/<norm>``: of predicted minus annotated landmarks, so that
      motion which both share does not count. A constant offset has none.

    Consecutive frames are those whose numbers lie as far apart as any in the data do,
    ``frame_step``: 1, or the data set's stride. (Jitter grows with the step: compare
    figures of one step.) Frames that are left out or cannot be measured interrupt a
    sequence, and a figure that no three frames give is left out.

    Samples need ``sequence_id`` and ``frame_number`` in their metainfo, and
    ``category`` with the default ``groups``: ``PackPoseInputs(meta_keys=(...,
    'sequence_id', 'frame_number', 'category'))``. Samples may come in any order;
    those of a frame that came before do not count.

    Example:
        ```python
        *steps, pack = _base_.val_pipeline
        val_pipeline = [
            *steps,
            dict(pack, meta_keys=(
                'id', 'img_path', 'input_size', 'input_center', 'input_scale',
                'flip_indices', 'sequence_id', 'frame_number', 'category'))]
        val_dataloader = dict(dataset=dict(
            _delete_=True, type='Face300VWVideoDataset', data_root='data/300vw',
            split='category3', test_mode=True, pipeline=val_pipeline))
        val_evaluator = dict(
            _delete_=True, type='FaceVideoNME', norms=('inter_ocular',))
        test_dataloader, test_evaluator = val_dataloader, val_evaluator
        ```

    Args:
        groups (str | dict[str, str], optional): As in :class:`FaceNME`. Defaults to
            ``'category'``, of 300-VW's data sets.
        outfile_prefix (str, optional): Also write ``<prefix>_sequences.csv``, the
            figures of each sequence; ``<prefix>.json`` holds them, too, and
            ``<prefix>_faces.csv`` the jitter around each frame. Defaults to none.
        **kwargs: The other arguments of :class:`FaceNME`.
    """

    def __init__(
        self, *, groups: str | Mapping[str, str] | None = "category", **kwargs
    ) -> None:
        super().__init__(groups=groups, **kwargs)

    def measure(self, sample: dict) -> dict:
        """Measure as :meth:`FaceNME.measure`, of one face, with what jitter needs.

        Returns:
            Also ``frame_number``, and float32 ``(K, 2)`` landmarks in pixels:
            ``annotated``, and ``predicted``, NaN where one is not measured.
        """
        result = super().measure(sample)
        name, errors = result["name"], result["errors"]
        if len(errors) != 1:
            raise ValueError(
                f"FaceVideoNME: {name}: {len(errors)} faces in a sample, expected one; "
                "faces of one video need sequence_ids of their own"
            )
        sequence = str(self._metainfo(sample, "sequence_id", name))
        result["labels"] = dict(result["labels"], sequence=sequence)
        result["frame_number"] = int(self._metainfo(sample, "frame_number", name))
        truth, predicted = (
            self._field(sample, group, "keypoints", name)[0, :, :2].astype(np.float32)
            for group in ("gt_instances", "pred_instances")
        )
        result["annotated"] = truth
        result["predicted"] = np.where(np.isnan(errors[0])[:, None], np.nan, predicted)
        return result

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Return all figures over all frames, as fractions; see the class."""
        results = _in_order(results)
        self.frame_step = frame_step(*_places(results))
        return super().compute_metrics(results)

    def averages(self, results: list[dict], used: np.ndarray) -> dict[str, np.ndarray]:
        """Return the jitter around each frame."""
        results = [result for result, is_used in zip(results, used) if is_used]
        predicted, annotated = (
            np.stack([result[key] for result in results]).astype(np.float64)
            for key in ("predicted", "annotated")
        )
        annotated[np.isnan(predicted)] = np.nan
        middle = middle_frames(*_places(results), self.frame_step)
        if not middle.any():
            MMLogger.get_current_instance().warning(
                f"FaceVideoNME: no three consecutive frames, {self.frame_step} apart, "
                f"among {len(results)}: there is no jitter"
            )
        norms = np.concatenate([result["norms"] for result in results])
        tracks = (predicted, annotated, predicted - annotated)
        return {
            f"{name}/{norm}": pixels / norms[:, i]
            for name, pixels in zip(JITTERS, (jitter(t, middle) for t in tracks))
            for i, norm in enumerate(self.norms)
        }

    def content(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return what ``<prefix>.json`` holds."""
        return dict(
            super().content(evaluation),
            frame_step=self.frame_step,
            sequences=self._sequences(evaluation.faces),
        )

    def tables(self, faces: MeasuredFaces) -> dict[str, tuple[Sequence, Iterable]]:
        """Return suffixes of CSV files to their headers and rows."""
        rows = self._sequences(faces)
        header = ["sequence", *dict.fromkeys(key for r in rows.values() for key in r)]
        table = ([name, *map(row.get, header[1:])] for name, row in rows.items())
        return dict(super().tables(faces), sequences=(header, table))

    def _table(
        self, faces: MeasuredFaces, figures: Mapping[str, Mapping[str, float]]
    ) -> str:
        norm = self.norms[0]
        rows = {
            name: {
                key.split("/")[0]: value
                for key, value in self.figures(frames).items()
                if key.split("/")[1:] == [norm]
            }
            for name, frames in faces.by("sequence")
        }
        return (
            super()._table(faces, figures)
            + f"\nSequences, by {norm}, frame_step {self.frame_step}, in percent\n"
            + percent_table(rows)
        )

    def _sequences(self, faces: MeasuredFaces) -> dict[str, dict[str, Any]]:
        """Return sequences to their group, if any, number of frames and figures."""
        sequences = {}
        for name, frames in faces.by("sequence"):
            sequences[name] = dict(num_frames=len(frames), **self.figures(frames))
            if "group" in frames.labels:
                sequences[name]["group"] = str(frames.labels["group"][0])
        return sequences


def _places(results: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(N,)`` sequences and frame numbers."""
    return (
        np.array([result["labels"]["sequence"] for result in results]),
        np.array([result["frame_number"] for result in results]),
    )


def _in_order(results: Sequence[dict]) -> list[dict]:
    """Return results sorted by sequence and frame, each frame once.

    Raises:
        ValueError: If a frame comes with two different annotations.
    """
    frames: dict[tuple, dict] = {}
    for result in results:
        place = (result["labels"]["sequence"], result["frame_number"])
        known = frames.setdefault(place, result)
        if not np.array_equal(known["annotated"], result["annotated"], equal_nan=True):
            raise ValueError(
                f"FaceVideoNME: {known['name']} and {result['name']} are different "
                f"faces of frame {place[1]} of sequence {place[0]!r}; give each face's "
                "track a sequence_id of its own"
            )
    return [frames[place] for place in sorted(frames)]
