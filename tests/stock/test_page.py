"""docs/own_config.md and these tests speak of the same configs."""

from . import test_bodies, test_faces_and_hands, test_rtmpose
from .stock import TRIED


def test_the_page_lists_what_is_tried():
    marks = (m.test_semantic_alignment_by_a_few_lines.pytestmark for m in MODULES)
    tried = [case[0] for (mark, *_) in marks for case in mark.args[1]]
    assert sorted(tried) == sorted(TRIED)


MODULES = (test_bodies, test_faces_and_hands, test_rtmpose)
