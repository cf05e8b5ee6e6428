"""Data sets; importing this package registers them into MMPose."""

from .face_300vw import Face300VWFrameDataset, Face300VWVideoDataset
from .pts_face_dataset import PtsFaceDataset
from .several_annotators import SeveralAnnotatorsDataset
from .synthetic_face_dataset import SyntheticFaceDataset, write_pts_tree

__all__ = [
    "Face300VWFrameDataset",
    "Face300VWVideoDataset",
    "PtsFaceDataset",
    "SeveralAnnotatorsDataset",
    "SyntheticFaceDataset",
    "write_pts_tree",
]
