"""``python -m studies``, and the commands that the documents name."""

import re

from studies import __main__ as main
from tests import ROOT


def test_the_list_of_studies(capsys):
    main.main()
    listed = capsys.readouterr().out
    assert "\nalignment " in listed and "engine" not in listed


def test_every_study_that_a_document_names_exists():
    named = set()
    for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"python -m studies\.((?!NAME)\w+)", text))
        named |= set(re.findall(r"studies/((?!test_)[a-z_]+)\.py", text))
    assert "alignment" in named
    assert named <= set(main.studies())
