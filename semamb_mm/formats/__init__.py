"""Files in, arrays out: landmarks, images, videos, lists and data sets' layouts.

Nothing of OpenMMLab. Errors name the file, what was expected and how to fix it. What
is written appears whole or not at all (:mod:`semamb_mm.formats.files`).
"""
