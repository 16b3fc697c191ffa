-- Grain: one row per current run of $first_date..$last_date whose known compromised entities are not stored yet,
-- with the first day of the training window of its version.
select runs.run_id, runs.partition_date, models.first_date as training_first
from current_runs as runs
join models on models.version = runs.model_version
where
    runs.partition_date between $first_date and $last_date
    and runs.compromised_entities is null
    and runs.pruned_at is null
order by runs.partition_date;
