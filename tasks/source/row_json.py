"""A row of the source as JSON, for the quarantine and for people to read."""

from models.settings import ImageSettings
from sql import identifier
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_bytes
from tasks.core.masking import MASK
from tasks.core.sql_expressions import json_value
from tasks.source.row_rules import is_source_image
from tasks.source.view import SourceView


def source_images(dataset: Dataset, view: SourceView) -> dict[str, ImageSettings]:
    """Returns the source's image column by its name; empty if there is none, or if the feature SQL makes the
    images.
    """
    image = dataset.features.image
    if image is None:
        return {}
    return {image.column: image} if is_source_image(dataset, view) or dataset.features.sql is None else {}


def row_json(dataset: Dataset, view: SourceView) -> str:
    """Returns an SQL expression, VARCHAR, for the source's columns of a row as JSON: private values are
    masked, an image is its size.
    """
    shown = {name: _value(dataset, view, name) for name in view.types}
    packed = ", ".join(f"{identifier(name)} := {value}" for name, value in shown.items())
    return f"cast(to_json(struct_pack({packed})) as varchar)"


def _value(dataset: Dataset, view: SourceView, name: str) -> str:
    column = identifier(name)
    if name in dataset.columns.private:
        return f"case when {column} is not null then '{MASK}' end"
    if name in source_images(dataset, view) and not is_bytes(view.types[name]):
        return f"format('<{{:,}} numbers>', len({column}))"
    value = json_value(column, view.types[name])
    if name not in view.checked:
        return value
    return f"case when {view.unfit(name)} is null then to_json({value}) else to_json({view.unfit(name)}) end"
