-- Grain: one row per committed run whose rows are to be pruned: superseded before $instant, or, with $scores,
-- current and of a date before $oldest.
select
    run_id,
    superseded_at is null as is_current,
    coalesce((superseded_at at time zone 'UTC')::date, partition_date) as since,
    rows_scored,
from runs
where
    status = 'committed'
    and pruned_at is null
    and (superseded_at < $instant or ($scores and superseded_at is null and partition_date < $oldest));
