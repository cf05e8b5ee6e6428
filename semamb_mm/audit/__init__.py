"""Which annotations are probably wrong: scores, a decision, pictures, new labels.

Arrays in, arrays and files out: no framework and no model is needed.

- ``decision``: which landmarks are suspects, why, how many of them are wrong, and what
  is proposed instead;
- ``scores``, ``evidence``: how unusual an annotation is, beside a prediction and beside
  other annotations;
- ``calibration``: how many of the highest scores are wrong, from the data set itself;
- ``groups``: whole samples and curves that are wrong together;
- ``tracks``: suspects of videos, one line for a stretch of frames;
- ``report``: tables and one page with pictures;
- ``review``, ``review_page``: suspects as a page on which a person decides;
- ``decisions``, ``sources``, ``corrected``: what was decided, as a corrected copy;
- ``suspects``: the labels that a training leaves out, from such files;
- ``relabel``: the proposed labels in the data set's own format;
- ``moves``: how far latent targets moved from the annotations;
- ``labels``, ``label_report``: the same for class labels: how surprising each is, which
  are suspects and how many of those are wrong; a table and a page.
"""

from .decision import REASONS, Audit, decide
from .groups import Markup
from .scores import THRESHOLD, suspicion

__all__ = ["REASONS", "THRESHOLD", "Audit", "Markup", "decide", "suspicion"]
