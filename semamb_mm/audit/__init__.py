"""Which annotations are probably wrong: scores, a decision, pictures, new labels.

Arrays in, arrays and files out: no framework and no model is needed.

- ``scores``: how unusual each annotation is in a model's eyes;
- ``decision``: which landmarks are suspects, and what is proposed instead;
- ``report``: tables and one page with pictures;
- ``review``, ``review_page``: suspects as a page on which a person decides;
- ``decisions``, ``sources``, ``corrected``: what was decided, as a corrected copy;
- ``relabel``: the proposed labels in the data set's own format;
- ``moves``: how far latent targets moved from the annotations;
- ``labels``, ``label_report``: the same for class labels: how surprising each is, which
  are suspects and how many of those are wrong; a table and a page.
"""

from .decision import Audit, decide
from .scores import THRESHOLD, suspicion

__all__ = ["THRESHOLD", "Audit", "decide", "suspicion"]
