"""Writes a commented configuration from what `nightscore init` found in a source."""

import json
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from tasks.operations.entity_behaviour import LOOKBACK_DAYS, BehaviourOffer
from tasks.operations.source_look import SourceLook


def render_toml(
    look: SourceLook, name: str, offer: BehaviourOffer | None = None, offer_file: str = ""
) -> str:
    """Returns a commented configuration that loads without changes, each guess with its evidence.

    offer: the statement of an entity against its own past, which is in `offer_file`, where there is one.
    """
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (no HTML)
    )
    # JSON strings and arrays are valid TOML.
    environment.filters["toml"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["line"] = lambda text: " ".join(text.split())  # a comment ends with its line
    template = environment.from_string(
        (Path(__file__).parent / "templates" / "nightscore.toml.j2").read_text(encoding="utf-8")
    )
    missing = (look.dates[-1] - look.dates[0]).days + 1 - len(look.dates)
    return template.render(
        look=look,
        name=name,
        missing=missing,
        roles=("time", "entity", "label", "weight"),
        offer=offer,
        offer_file=offer_file,
        offer_days=LOOKBACK_DAYS,
    )
