-- Grain: one row per committed run whose rows are to be pruned: superseded before $instant, or, with $scores,
-- current and committed before $instant. A date scored late, by a backfill, is as young as its commit.
select
    run_id,
    superseded_at is null as is_current,
    (coalesce(superseded_at, committed_at) at time zone 'UTC')::date as since,
    rows_scored,
from runs
where
    status = 'committed'
    and pruned_at is null
    and (superseded_at < $instant or ($scores and superseded_at is null and committed_at < $instant));
