"""Face data sets; importing this package registers them into MMPose."""

from .face_300vw import Face300VWFrameDataset, Face300VWVideoDataset
from .pts_face_dataset import PtsFaceDataset
from .synthetic_face_dataset import SyntheticFaceDataset, write_pts_tree

__all__ = [
    "Face300VWFrameDataset",
    "Face300VWVideoDataset",
    "PtsFaceDataset",
    "SyntheticFaceDataset",
    "write_pts_tree",
]
