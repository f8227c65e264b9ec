"""Build the API reference: the names that the package exports, and what those return or take."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import jinja2
import msgspec
import pdoc
import pdoc.render

import lash_redis

PAGES = {
    "lash_redis": lash_redis.__all__,
    "lash_redis.app.lash": ["BlockingLash"],
    "lash_redis.app.task": ["Task", "BlockingTask"],
    "lash_redis.app.process": ["Process", "BlockingProcess"],
    "lash_redis.core.options": ["ProcessOptions"],
    "lash_redis.worker.settings": ["WorkerSettings"],
}
# Members of a private base are shown with the class itself: no list of them. How a method was made is left out too.
TEMPLATE = """
{% extends "default/module.html.jinja2" %}
{% macro inherited(cls) %}{% endmacro %}
{% macro decorators(doc) %}
    {% for each in doc.decorators if each in ("@classmethod", "@staticmethod") %}
        <div class="decorator">{{ each }}</div>
    {% endfor %}
{% endmacro %}
"""


def main(folder: Path) -> int:
    """Write the pages into ``folder`` and return the exit code."""
    undocumented = list(_undocumented())
    if undocumented:
        print("without a docstring:", *undocumented, sep="\n  ", file=sys.stderr)
        return 1
    for page, names in PAGES.items():
        module = importlib.import_module(page)
        module.__all__ = names  # type: ignore[attr-defined]
        for name in names:
            _show_whole(getattr(module, name))
    pdoc.render.configure(docformat="google", show_source=False)
    ours = jinja2.DictLoader({"module.html.jinja2": TEMPLATE})
    pdoc.render.env.loader = jinja2.ChoiceLoader([ours, *filter(None, [pdoc.render.env.loader])])
    pdoc.pdoc(*PAGES, output_directory=folder)
    print(f"{folder.resolve()}/index.html")
    return 0


def _undocumented() -> Iterator[str]:
    for page, names in PAGES.items():
        module = importlib.import_module(page)
        for name in names:
            public = getattr(module, name)
            if not public.__dict__.get("__doc__"):
                yield f"{page}.{name}"
            for member_name, member in _members(public):
                if not inspect.getdoc(member):
                    yield f"{page}.{name}.{member_name}"


def _members(public: type) -> Iterator[tuple[str, object]]:
    """Yield the methods and properties that our own classes give to a class."""
    for base in public.__mro__:
        if base.__module__.startswith("lash_redis."):
            for name, member in vars(base).items():
                is_method = inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod, property))
                if is_method and not name.startswith("_"):
                    yield name, member


def _show_whole(public: type) -> None:
    """Let pdoc see what a class has from a private base, how its methods are called, and what a struct is made with."""
    for member in filter(inspect.isfunction, vars(public).values()):
        vars(member).pop("__wrapped__", None)  # else it is shown instead
    for base in public.__mro__[1:]:
        if base.__name__.startswith("_") and base.__module__.startswith("lash_redis."):
            for name, member in vars(base).items():
                if not name.startswith("_") and name not in vars(public):
                    setattr(public, name, member)
    if issubclass(public, msgspec.Struct):
        types = get_type_hints(public)  # without the check and the meaning of an option, which stand beside its type
        type.__setattr__(public, "__annotations__", types)
        parameters = inspect.signature(public).parameters.values()
        this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)

        def called_with() -> None:
            pass

        vars(called_with)["__signature__"] = inspect.Signature(
            [this, *(each.replace(annotation=types[each.name]) for each in parameters)]
        )
        type.__setattr__(public, "__init__", called_with)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
