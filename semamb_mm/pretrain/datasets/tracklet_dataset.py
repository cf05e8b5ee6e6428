"""What the video re-identification data sets share."""

from __future__ import annotations

from .query_gallery_dataset import QueryGalleryDataset


class TrackletDataset(QueryGalleryDataset):
    """Base of the video re-identification data sets.

    Args:
        data_root (str): The data set's folder.
        tracklet_stride (int): Take every n-th image of a tracklet, of which
            neighbours hardly differ. Defaults to 1.
        **kwargs: :class:`QueryGalleryDataset`'s.

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
