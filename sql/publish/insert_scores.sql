-- Grain: one row per scored source row of one run, from its staged Parquet.
insert into score_rows by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    id,
    entity,
    event_time,
    error,
    score,
    p_value,
    rank,
    is_flagged,
    reasons,
    details,
    $model_version as model_version,
from read_parquet($path);
