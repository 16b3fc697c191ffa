-- Grain: one row per date up to $partition_date that both versions have scored, in order.
select partition_date
from current_runs
where
    partition_date <= $partition_date
    and pruned_at is null
    and run_id in (from (select run_id from version_scores where model_version = $challenger and rank = 1))
    and run_id in (from (select run_id from version_scores where model_version = $champion and rank = 1))
order by partition_date;
