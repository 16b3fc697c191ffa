-- Grain: one row per scored source row of one run, from its staged Parquet, whose columns are those of the table: one
-- that an earlier version did not stage is null.
insert into score_rows by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    staged.*,
    $model_version as model_version,
from read_parquet($path) as staged;
