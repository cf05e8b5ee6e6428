"""The retrievers that are registered into MMPretrain, and their preprocessor."""

from .embedding_retriever import EmbeddingRetriever
from .tracklet_data_preprocessor import TrackletDataPreprocessor

__all__ = ["EmbeddingRetriever", "TrackletDataPreprocessor"]
