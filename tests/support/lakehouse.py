"""Tables of Delta and Iceberg, written by hand after their specifications, of one Parquet file each."""

import json
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

DELTA = {
    pl.Int64: "long",
    pl.Int8: "byte",
    pl.Float64: "double",
    pl.Datetime: "timestamp_ntz",
    pl.String: "string",
}
ICEBERG = {
    pl.Int64: "long",
    pl.Int8: "int",
    pl.Float64: "double",
    pl.Datetime: "timestamp",
    pl.String: "string",
}
SNAPSHOT = 1


def write_delta(frame: pl.DataFrame, folder: Path, version: int = 0) -> None:
    """Adds a file of rows to a Delta table, as the version of that number."""
    log = folder / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    file = folder / f"part-{version}.parquet"
    frame.write_parquet(file)
    fields = [
        {"name": name, "type": DELTA[kind.base_type()], "nullable": True, "metadata": {}}
        for name, kind in frame.schema.items()
    ]
    features = {"readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz"]}
    head: list[dict[str, Any]] = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {
            "metaData": {
                "id": "transactions",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": 0,
            }
        },
    ]
    size = file.stat().st_size
    add = {"path": file.name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True}
    actions = [*(head if version == 0 else []), {"add": add}]
    (log / f"{version:020}.json").write_text("\n".join(map(json.dumps, actions)))


def write_iceberg(frame: pl.DataFrame, folder: Path) -> None:
    """Writes an Iceberg table of format 2."""
    (folder / "data").mkdir(parents=True)
    (folder / "metadata").mkdir()
    file, listed, manifest = (
        folder / "data" / "0.parquet",
        folder / "metadata" / "s.avro",
        folder / "metadata" / "m.avro",
    )
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    numbered = [
        field.with_metadata({"PARQUET:field_id": str(number)}) for number, field in enumerate(arrow.schema, 1)
    ]
    pq.write_table(pa.Table.from_arrays(arrow.columns, schema=pa.schema(numbered)), file)
    schema = {
        "type": "struct",
        "schema-id": 0,
        "fields": [
            {"id": number, "name": name, "required": False, "type": ICEBERG[kind.base_type()]}
            for number, (name, kind) in enumerate(frame.schema.items(), 1)
        ],
    }
    entry = {
        "status": 1,
        "snapshot_id": SNAPSHOT,
        "sequence_number": 1,
        "file_sequence_number": 1,
        "data_file": {
            "content": 0,
            "file_path": str(file),
            "file_format": "PARQUET",
            "partition": {},
            "record_count": frame.height,
            "file_size_in_bytes": file.stat().st_size,
        },
    }
    about = {
        "schema": json.dumps(schema),
        "partition-spec": "[]",
        "partition-spec-id": "0",
        "format-version": "2",
        "content": "data",
    }
    with manifest.open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(ENTRY), [entry], metadata=about)
    others = {f"{kind}_{what}_count": 0 for kind in ("existing", "deleted") for what in ("files", "rows")}
    counts = {"added_files_count": 1, "added_rows_count": frame.height, **others}
    head = {
        "manifest_path": str(manifest),
        "manifest_length": manifest.stat().st_size,
        "partition_spec_id": 0,
        "content": 0,
        "sequence_number": 1,
        "min_sequence_number": 1,
        "added_snapshot_id": SNAPSHOT,
        **counts,
    }
    with listed.open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(LIST), [head], metadata={"format-version": "2"})
    snapshot = {
        "snapshot-id": SNAPSHOT,
        "sequence-number": 1,
        "timestamp-ms": 1,
        "manifest-list": str(listed),
        "summary": {"operation": "append"},
        "schema-id": 0,
    }
    metadata = {
        "format-version": 2,
        "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
        "location": str(folder),
        "last-sequence-number": 1,
        "last-updated-ms": 1,
        "last-column-id": len(frame.columns),
        "current-schema-id": 0,
        "schemas": [schema],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "last-partition-id": 999,
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": {},
        "current-snapshot-id": SNAPSHOT,
        "snapshots": [snapshot],
        "snapshot-log": [],
        "metadata-log": [],
    }
    (folder / "metadata" / "v1.metadata.json").write_text(json.dumps(metadata))
    (folder / "metadata" / "version-hint.text").write_text("1")


def _field(number: int, name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "field-id": number}


DATA_FILE = {
    "type": "record",
    "name": "r2",
    "fields": [
        _field(134, "content", "int"),
        _field(100, "file_path", "string"),
        _field(101, "file_format", "string"),
        _field(102, "partition", {"type": "record", "name": "r102", "fields": []}),
        _field(103, "record_count", "long"),
        _field(104, "file_size_in_bytes", "long"),
    ],
}
ENTRY = {
    "type": "record",
    "name": "manifest_entry",
    "fields": [
        _field(0, "status", "int"),
        _field(1, "snapshot_id", ["null", "long"]),
        _field(3, "sequence_number", ["null", "long"]),
        _field(4, "file_sequence_number", ["null", "long"]),
        _field(2, "data_file", DATA_FILE),
    ],
}
LIST = {
    "type": "record",
    "name": "manifest_file",
    "fields": [
        _field(500, "manifest_path", "string"),
        _field(501, "manifest_length", "long"),
        _field(502, "partition_spec_id", "int"),
        _field(517, "content", "int"),
        _field(515, "sequence_number", "long"),
        _field(516, "min_sequence_number", "long"),
        _field(503, "added_snapshot_id", "long"),
        _field(504, "added_files_count", "int"),
        _field(505, "existing_files_count", "int"),
        _field(506, "deleted_files_count", "int"),
        _field(512, "added_rows_count", "long"),
        _field(513, "existing_rows_count", "long"),
        _field(514, "deleted_rows_count", "long"),
    ],
}
