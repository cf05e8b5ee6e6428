from .omniglot import OmniglotRetrieval
from .retrieval_dataset import RetrievalDataset
from .zip_backend import ZipBackend

__all__ = ["OmniglotRetrieval", "RetrievalDataset", "ZipBackend"]
