"""Settings of the documentation; build it with: sphinx-build -W --keep-going -b html docs docs/_build/html."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from importlib.metadata import version as installed_version

project = "genie_gym"
author = "the genie_gym authors"
copyright = author
version = release = installed_version("genie_gym")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_copybutton",
    "generated_pages",
]
exclude_patterns = ["_build", "_generated/*.inc.md"]

# Every cross-reference must resolve; those that autodoc makes of type annotations may point outside these pages.
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]

suppress_warnings = ["ref.python"]  # attributes of one name in several classes
default_role = "code"  # single backticks in docstrings are code, as in Markdown
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_google_docstring = True
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp"

html_theme = "furo"
html_title = f"genie_gym {version}"
html_static_path = ["_static"]
