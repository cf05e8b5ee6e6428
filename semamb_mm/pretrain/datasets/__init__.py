"""The data sets that are registered into MMPretrain."""

from .cars196 import CARS196Retrieval
from .crop_to_box import CropToBox
from .cub import CUBRetrieval
from .lpw import LPW
from .mars import MARS
from .omniglot import OmniglotRetrieval
from .retrieval_dataset import RetrievalDataset
from .tracklet_dataset import TrackletDataset
from .zero_shot_dataset import ZeroShotDataset
from .zip_backend import ZipBackend

__all__ = [
    "CARS196Retrieval",
    "CUBRetrieval",
    "CropToBox",
    "LPW",
    "MARS",
    "OmniglotRetrieval",
    "RetrievalDataset",
    "TrackletDataset",
    "ZeroShotDataset",
    "ZipBackend",
]
