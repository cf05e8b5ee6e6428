"""What the video re-identification data sets share."""

from __future__ import annotations

from .retrieval_dataset import RetrievalDataset


class TrackletDataset(RetrievalDataset):
    """Base of the video re-identification data sets.

    Data infos have ``camera_id``, ``tracklet_id``, and ``role`` (``query`` or
    ``gallery``) in testing, as ``TrackletRetrievalMetric`` reads them. In
    ``val`` the first tracklet of every person is a query, the others are the
    gallery, and labels count from 1, because 0 would be a distractor.

    Args:
        data_root (str): The data set's folder.
        tracklet_stride (int): Take every n-th image of a tracklet, of which
            neighbours hardly differ. Defaults to 1.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        ValueError: If the stride is not positive.
    """

    def __init__(self, data_root: str, tracklet_stride: int = 1, **kwargs) -> None:
        if tracklet_stride < 1:
            raise ValueError(
                f"{type(self).__name__}: tracklet_stride must be positive, got "
                f"{tracklet_stride}"
            )
        self.tracklet_stride = tracklet_stride
        super().__init__(data_root=data_root, **kwargs)

    def image_samples(self, images: list[str], **info) -> list[dict]:
        """Data infos of a tracklet's images, which share ``info``."""
        return [dict(info, img_path=path) for path in images[:: self.tracklet_stride]]

    def _divide(self, samples: list[dict]) -> list[dict]:
        samples = super()._divide(samples)
        if self.split == "val":
            first: dict[int, int] = {}
            for sample in samples:
                sample["gt_label"] += 1
                query = first.setdefault(sample["gt_label"], sample["tracklet_id"])
                is_query = sample["tracklet_id"] == query
                sample["role"] = "query" if is_query else "gallery"
        return samples
