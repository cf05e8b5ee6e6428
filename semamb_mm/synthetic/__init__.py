"""Procedural faces, videos and annotators, whose truth is known.

Numpy and OpenCV. The same seed gives the same faces for ever: published figures were
measured on them.
"""
