-- Grain: one row per feature of one run, and one for the error, from its staged Parquet.
insert into profiles by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    $model_version as model_version,
    feature,
    kind,
    weight,
    counts,
    sums,
    reference_counts,
    reference_sums,
from read_parquet($path);
