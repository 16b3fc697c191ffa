"""The schema of the configuration for editors, such as Taplo and Even Better TOML: JSON Schema, draft 7."""

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from flows.settings import Settings
from models.settings import Section

DRAFT = "http://json-schema.org/draft-07/schema#"
BY_FOLDER = "name"  # needed by a dataset, but a file without it has the name of its folder


def settings_schema() -> dict[str, Any]:
    """Returns the schema. TOML has no null: a key that may be unset has the type of its value alone."""
    schema: dict[str, Any] = _for_toml(Settings.model_json_schema())
    schema["required"].remove(BY_FOLDER)
    classes = {each.__name__: each for each in _below(Section)}
    parts: list[tuple[type[Section], dict[str, Any]]] = [(Settings, schema)]
    parts += [(classes[name], part) for name, part in schema["$defs"].items()]
    for section, part in parts:
        part["description"] = description(section)
        for key, text in key_descriptions(section).items():
            part["properties"][key]["description"] = text
    return {"$schema": DRAFT, "title": "nightscore.toml"} | schema


def description(section: type[BaseModel]) -> str:
    """Returns the docstring of a section, each paragraph in a line of its own."""
    paragraphs = (inspect.getdoc(section) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def key_descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Returns the text below each key of a section, in the order of the class.

    The option use_attribute_docstrings of pydantic would parse every section whenever a command starts.
    """
    found: dict[str, str] = {}
    for part in (each for each in reversed(section.__mro__) if each in _below(Section)):
        (definition,) = ast.parse(inspect.getsource(part)).body
        assert isinstance(definition, ast.ClassDef)
        for key, text in pairwise(definition.body):
            if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[ast.unparse(key.target)] = " ".join(ast.literal_eval(text.value).split())
    return found


def _below(parent: type[Section]) -> list[type[Section]]:
    children = parent.__subclasses__()
    return [*children, *(below for child in children for below in _below(child))]


def _for_toml(value: Any) -> Any:
    """Returns a part of the schema without null and titles; a tuple is a list of one type, as in draft 7."""
    if isinstance(value, list):
        return [_for_toml(item) for item in value if item != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {key: _for_toml(item) for key, item in value.items() if not _is_idle(key, item)}
    if "prefixItems" in kept:
        kept["items"], *_ = kept.pop("prefixItems")
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def _is_idle(key: str, item: Any) -> bool:
    """Whether an entry says nothing: a title, and as a default, null or a section of defaults."""
    return (key == "title" and isinstance(item, str)) or (
        key == "default" and (item is None or (isinstance(item, dict) and "type" not in item))
    )
