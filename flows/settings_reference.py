"""Writes docs/configuration.md from the classes of the settings: `make docs`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from flows.settings_schema import settings_schema

INTRODUCTION = """# Configuration

<!-- Written by `make docs` from the classes of the settings; change their docstrings instead. -->

One TOML file configures one dataset. `nightscore init` writes a commented one from your source, and
[examples/](../examples) has nine that are used for the [published figures](figures.md).

- A command takes the file from `--config`, else from `$NIGHTSCORE_CONFIG`, else `./nightscore.toml`.
- Relative paths are relative to the file.
- `${VAR}` is replaced by the environment variable, so that no secret is in the file. An unset one is refused.
- An unknown key is refused, with the name of the closest known one. `nightscore config check` reads the file
  alone, opens no source, and prints every problem in a line of its own.
- Every key has a default except the source, `columns.id` and the features. An empty default means that the
  key is unset.
- Editors complete and check the keys by a schema. With Taplo, or Even Better TOML in VS Code: run
  `nightscore config schema > nightscore.schema.json`, and begin the file with
  `#:schema ./nightscore.schema.json`.

```toml
name = "card-fraud"

[source]
path = "transactions/date={date}/*.parquet"

[columns]
id = "transaction_id"
time = "tx_time"
entity = "customer_id"
label = "is_fraud"

[features]
numeric = ["amount"]
categorical = ["channel"]

[quality.columns.amount]
nullable = false
min = 0.0
```
"""
MORE = {  # what a section means in full
    "source": "[sources](sources.md)",
    "columns": "[sources](sources.md)",
    "features": "[`sql/features/card_transactions.sql`](../sql/features/card_transactions.sql), a worked "
    "example, [an entity against its own past](features.md), and "
    "[bad days](sources.md#a-bad-day-spoils-itself-alone)",
    "quality": "[quality gates](quality-gates.md), which lists the rules that apply without any key",
    "model": "[detectors](detectors.md)",
    "training": "[versions](versions.md)",
    "head": "[detectors](detectors.md#the-head)",
    "threshold": "[detectors](detectors.md)",
    "drift": "[drift](drift.md)",
    "alerts": "[answers](answers.md)",
    "challenger": "[versions](versions.md)",
    "evaluation": "[evaluation](evaluation.md)",
    "warehouse": "[warehouse](warehouse.md)",
    "schedule": "[schedule](schedule.md)",
    "compute": "[operations](operations.md#backfill)",
    "notify": "[notifications](notifications.md)",
}
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
PLURALS = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}
LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


def reference() -> str:
    """Returns the page: the keys of the file itself, then one part per section, with those inside it."""
    schema = settings_schema()
    return "\n".join([INTRODUCTION, *_part("", schema, schema)])


def _part(place: str, part: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    sections = {key: found for key, each in part["properties"].items() if (found := _section(each, schema))}
    rows = {key: each for key, each in part["properties"].items() if place or key not in sections}
    if place:
        yield f"## [{place}]\n\n{part['description']}\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for key, value in rows.items():
        yield f"| {' | '.join(_cells(key, value, key in sections, part.get('required', ())))} |"
    yield ""
    if place in MORE:
        yield f"See {MORE[place]}.\n"
    for key, found in sections.items():
        yield from _part(f"{place}.{key}".strip(".") + _names(part["properties"][key]), found, schema)


def _section(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the section that a key holds, alone, in a list or by names; None where it holds a value."""
    inner = value.get("items", value.get("additionalProperties", value))
    name = inner.get("$ref", "").rpartition("/")[2] if isinstance(inner, dict) else ""
    return schema["$defs"][name] if name else None


def _names(value: dict[str, Any]) -> str:
    return ".NAME" if "additionalProperties" in value else ""


def _cells(key: str, value: dict[str, Any], is_section: bool, required: Any) -> Iterator[str]:
    yield f"`{key}`"
    yield "see below" if is_section else _type(value)
    default = f"`{json.dumps(value['default'])}`" if value.get("default") is not None else ""
    yield "**needed**" if key in required else default
    yield value["description"].replace("|", "\\|")


def _type(value: dict[str, Any]) -> str:
    """Returns in words which values a key takes."""
    if "anyOf" in value:
        return " or ".join(map(_type, value["anyOf"]))
    if "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value["enum"])
    if value.get("type") == "array":
        count = f"{value['minItems']} " if value.get("minItems") == value.get("maxItems", ()) else ""
        items = _type(value["items"])
        return f"list of {count}{PLURALS.get(items, items)}"
    if "additionalProperties" in value:
        return f"{_type(value['additionalProperties'])} by name"
    kind = "date" if value.get("format") == "date" else TYPES[value["type"]]
    limits = [f"{word} {value[limit]:g}" for limit, word in LIMITS.items() if limit in value]
    return f"{kind} {' and '.join(limits)}".strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
