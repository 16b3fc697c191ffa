"""The source columns that are stored beside the scores for people to read, such as the amount and the
terminal.
"""

import polars as pl

from sql import identifier
from tasks.core.dataset import Dataset
from tasks.core.references import Features
from tasks.core.sql_expressions import json_value
from tasks.features.views import create_clean
from tasks.source.connection import connect, readable


def read_details(dataset: Dataset, features: Features) -> pl.DataFrame:
    """Returns the columns of `columns.details` of every clean row of a day as JSON text: id str, details str.

    They are read from the source separately, and only when a night is scored: training and comparisons do not
    need them. NaN and infinity, which JSON does not have, are text. Raises SourceError if the source cannot
    be read.
    """
    with connect(dataset.source) as con, readable(dataset.source, features.date):
        clean = create_clean(con, dataset, features.validated)
        packed = ", ".join(
            f"{identifier(name)} := {json_value(identifier(name), clean.types[name])}"
            for name in dataset.columns.details
        )
        return con.sql(
            f"select {clean.id} as id, cast(to_json(struct_pack({packed})) as varchar) as details from clean"
        ).pl()
