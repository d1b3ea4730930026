"""Templates of one-file pages, by name; jinja2 is loaded when the first is asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

_SHARED = "twill.report"


@cache
def page_template(name: str, package: str = _SHARED) -> Template:
    """A template in the folder `templates` of a package, which may include those of `twill.report`.

    What it names and is not given is an error; values are escaped.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader(each, "templates") for each in dict.fromkeys((package, _SHARED))]
    environment = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
