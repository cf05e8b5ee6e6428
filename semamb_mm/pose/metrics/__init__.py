from .face_nme import FaceNME

__all__ = ["FaceNME"]
