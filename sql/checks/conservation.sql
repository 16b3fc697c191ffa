-- Current runs whose rows are not all accounted for: what the ledger says against the distinct rows that are
-- stored. None means pass.
with looked_at as (
    select *
    from current_runs
    where pruned_at is null and ($run_id::varchar is null or run_id = $run_id)
),
scored as (
    select run_id, count(*) as rows_stored, count(*) filter (is_flagged) as rows_stored_flagged
    from score_rows
    semi join looked_at using (run_id)
    group by run_id
),
quarantined as (
    select run_id, count(distinct source_row) as rows_stored_quarantined
    from quarantine
    semi join looked_at using (run_id)
    group by run_id
)
select
    run_id,
    partition_date,
    rows_source,
    rows_scored,
    rows_quarantined,
    rows_flagged,
    coalesce(rows_stored, 0) as rows_stored,
    coalesce(rows_stored_quarantined, 0) as rows_stored_quarantined,
    coalesce(rows_stored_flagged, 0) as rows_stored_flagged,
from looked_at
left join scored using (run_id)
left join quarantined using (run_id)
where
    rows_source <> rows_scored + rows_quarantined
    or rows_scored <> coalesce(rows_stored, 0)
    or rows_quarantined <> coalesce(rows_stored_quarantined, 0)
    or rows_flagged <> coalesce(rows_stored_flagged, 0)
order by partition_date;
