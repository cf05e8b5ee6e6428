"""The data sets that are registered into MMPretrain."""

from .cars196 import CARS196Retrieval
from .crop_to_box import CropToBox
from .cub import CUBRetrieval
from .inshop import InShopRetrieval
from .lpw import LPW
from .market1501 import Market1501
from .mars import MARS
from .omniglot import OmniglotRetrieval
from .query_gallery_dataset import QueryGalleryDataset
from .retrieval_dataset import RetrievalDataset
from .sop import SOPRetrieval
from .stratified_fold import StratifiedFoldDataset
from .tracklet_dataset import TrackletDataset
from .tracklet_frames import TrackletFrames
from .zero_shot_dataset import ZeroShotDataset
from .zip_backend import ZipBackend

__all__ = [
    "CARS196Retrieval",
    "CUBRetrieval",
    "CropToBox",
    "InShopRetrieval",
    "LPW",
    "MARS",
    "Market1501",
    "OmniglotRetrieval",
    "QueryGalleryDataset",
    "RetrievalDataset",
    "SOPRetrieval",
    "StratifiedFoldDataset",
    "TrackletDataset",
    "TrackletFrames",
    "ZeroShotDataset",
    "ZipBackend",
]
