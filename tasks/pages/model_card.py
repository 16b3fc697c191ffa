"""The model card: one self-contained HTML page for each version."""

import logging

from models.detector.detector import Detector
from models.inspection.pictures import Pixels
from models.inspection.summary import inspect
from tasks.core.atomic_files import write_atomically
from tasks.core.references import Version
from tasks.pages.charts import environment
from tasks.pages.model_card_charts import (
    PixelMap,
    bars,
    by_error,
    by_label,
    inked,
    losses,
    picture,
    pixel_map,
)
from tasks.pages.model_card_facts import CardFacts
from tasks.pages.model_card_text import (
    gaps,
    held_out,
    latent_words,
    lead,
    methods,
    settings,
    share_above_threshold,
)
from tasks.pages.page_facts import page_facts
from tasks.pages.report_charts import spread

__all__ = ["CardFacts", "render_card", "write_card"]

log = logging.getLogger(__name__)


def write_card(version: Version, detector: Detector, facts: CardFacts) -> None:
    """Writes the version's card, and replaces an earlier one."""
    write_atomically(version.card, render_card(version, detector, facts))
    log.info("%s  train      the model card is at %s", version.as_of, version.card)


def render_card(version: Version, detector: Detector, facts: CardFacts) -> str:
    """Returns the page as HTML, which loads nothing, and shows no image of a private column."""
    found, name = inspect(detector), held_out(detector)
    is_private = bool(found.pixels) and _image_column(detector) in facts.private
    pixels = None if is_private else found.pixels
    return (
        environment()
        .get_template("model_card.html.j2")
        .render(
            version=version,
            facts=facts,
            held_out=name,
            lead=lead(version, detector, facts),
            gaps=gaps(version, facts),
            settings=settings(version, detector, facts),
            losses=losses(detector.history),
            spread=spread(found.scores, () if facts.threshold is None else (facts.threshold,), name),
            share_above_threshold=share_above_threshold(detector, facts),
            latent=[chart for chart in (by_error(found.latent), by_label(found.latent, name)) if chart],
            latent_words=latent_words(found.latent, detector),
            features=found.features,
            bars=bars(found.features),
            is_private=is_private,
            maps=_maps(pixels, name) if pixels else [],
            pictures=[
                (one, picture(one.observed), picture(one.expected), inked(one.loss)) for one in pixels.worst
            ]
            if pixels
            else [],
            methods=methods(detector, facts, is_image=found.pixels is not None),
            about=page_facts(
                ("Version", [version.name]),
                ("Configuration", [f"{facts.config_hash} (the keys that decide what a version learns)"]),
                ("Threshold rule", [facts.rule]),
                ("Reports", ["none yet"]),  # see link_report
            ),
        )
    )


def _maps(pixels: Pixels, name: str) -> list[PixelMap]:
    return [
        pixel_map(name, pixels.normal),
        *([pixel_map("Known frauds", pixels.fraud)] if pixels.fraud is not None else []),
    ]


def _image_column(detector: Detector) -> str:
    """Returns the image column, from the name of a pixel, such as photo[0, 0]."""
    return detector.encoder.features[0].rpartition("[")[0]
