-- Grain: one row per scored source row of one run and challenger, from their staged Parquet.
insert into shadow_scores by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    id,
    error,
    score,
    p_value,
    rank,
    is_flagged,
    model_version,
from read_parquet($path);
