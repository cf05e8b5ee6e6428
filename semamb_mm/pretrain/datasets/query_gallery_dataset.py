"""What the data sets share whose test images are queries and a gallery."""

from __future__ import annotations

from .retrieval_dataset import RetrievalDataset


class QueryGalleryDataset(RetrievalDataset):
    """Base of the data sets whose test images are queries and a gallery.

    Data infos have ``camera_id``, ``tracklet_id``, and ``role`` (``query`` or
    ``gallery``) in testing, as ``TrackletRetrievalMetric`` reads them; a single
    image is a tracklet of its own. In ``val`` the first tracklet of every class is
    a query, the others are the gallery. Labels count from 0 in training; in
    ``val`` and testing 0 would be a distractor.

    Args:
        data_root (str): The data set's folder.
        **kwargs: :class:`RetrievalDataset`'s.
    """

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
