"""Let the site hold pages from outside docs/, and mend links as it moves them.

A hook of MkDocs, see mkdocs.yml. A page of docs/ stands at the site's root; any other
page keeps its path in the repository. A link to a page of the site leads there. Other
files of the repository are not in the site: of a link to one its text remains.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "configs/*/README.md")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Add the pages that stand outside docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrite links between docs/ and the rest of the repository."""
    here = page.file.src_uri
    in_docs = (ROOT / "docs" / here).is_file()
    folder = posixpath.dirname(f"docs/{here}" if in_docs else here)

    def mend(match):
        text, name, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(folder, name))
        target = target.removeprefix("docs/")
        if files.get_file_from_path(target) is None and (ROOT / target).exists():
            return text
        relative = posixpath.relpath(target, posixpath.dirname(here) or ".")
        return f"[{text}]({relative}{anchor})"

    return LINK.sub(mend, markdown)
