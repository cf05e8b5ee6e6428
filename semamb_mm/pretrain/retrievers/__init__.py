"""The retrievers that are registered into MMPretrain."""

from .embedding_retriever import EmbeddingRetriever

__all__ = ["EmbeddingRetriever"]
