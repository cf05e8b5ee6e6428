"""Let Griffe read the docstrings as they are written here; see mkdocs.yml."""

import re

import griffe

# Roles of Sphinx, which MMPose's docstrings have too.
ROLE = re.compile(r":(?:attr|class|func|meth|mod):`(?:~[\w.]*\.)?(?=[\w.])")


class HouseDialect(griffe.Extension):
    """``Example:`` as a section of code, names without roles, blocks without ``::``."""

    def on_object(self, *, obj, **kwargs):
        """Change the text that is parsed, not the file."""
        if obj.docstring is not None:
            text = ROLE.sub("`", obj.docstring.value)
            text = re.sub(r"( |^)::$", "", text, flags=re.M)
            text = re.sub(r"::$", ":", text, flags=re.M)
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
