-- Grain: one row per bad source row and broken rule of one run, from its staged Parquet.
insert into quarantine by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    row as source_row,
    id,
    copy,
    rule,
    "column" as column_name,
    content,
from read_parquet($path);
