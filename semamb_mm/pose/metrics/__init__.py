"""Metrics of face landmarks, of pictures and of videos."""

from .face_nme import FaceNME
from .face_video_nme import FaceVideoNME

__all__ = ["FaceNME", "FaceVideoNME"]
