"""What is known about faces: the 68 points, sizes, curves, roll, errors, shapes.

Numpy only. A script, a test or a user without OpenMMLab can use all of it.
"""
