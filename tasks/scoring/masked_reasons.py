"""Reasons without the values of private features."""

from collections.abc import Collection

import polars as pl

from models.settings import ImageSettings
from tasks.core.masking import MASK


def mask_reasons(reasons: pl.Series, private: Collection[str], image: ImageSettings | None) -> pl.Series:
    """Returns reasons whose values are masked where the feature is private.

    image: whose pixels are the features, where there is one.
    """
    if not private:
        return reasons
    reason = pl.element().struct
    is_private = pl.lit(image.column in private) if image else reason.field("feature").is_in(list(private))
    masked = {
        name: pl.when(is_private & reason.field(name).is_not_null())
        .then(pl.lit(MASK))
        .otherwise(reason.field(name))
        for name in ("observed", "expected", "usual")
    }
    return reasons.list.eval(reason.with_fields(**masked))
