"""Face data sets; importing this package registers them into MMPose."""

from .pts_face_dataset import PtsFaceDataset
from .synthetic_face_dataset import SyntheticFaceDataset, write_pts_tree

__all__ = ["PtsFaceDataset", "SyntheticFaceDataset", "write_pts_tree"]
