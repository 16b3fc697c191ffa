-- Grain: one row per current run of the dates $first_date..$last_date that a version has scored, and feature.
-- Empty if the version has profiles of fewer dates than it was trained on.
with nights as (
    select run_id
    from current_runs
    where
        model_version = $version
        and partition_date between $first_date and $last_date
        and run_id in (select run_id from profiles where partition_date between $first_date and $last_date)
)
select partition_date, feature, kind, weight, counts, sums, reference_counts, reference_sums
from profiles
semi join nights using (run_id)
where (select count(*) from nights) >= (select dates from models where version = $version)
order by partition_date, feature, kind;
