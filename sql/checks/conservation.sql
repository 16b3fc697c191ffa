-- Grain: one row per current run whose counts in `runs` differ from its stored rows, or do not add up: source
-- rows = scored + quarantined. Pruned runs are left out. None means pass.
with checked as (
    select *
    from current_runs
    where pruned_at is null and ($run_id::varchar is null or run_id = $run_id)
),
scored as (
    select
        run_id,
        count(*) as rows_stored,
        count(*) filter (is_flagged) as rows_stored_flagged,
        count(*) filter (is_flagged and flagged_by = 'unknown pattern') as rows_stored_unknown,
    from score_rows
    semi join checked using (run_id)
    group by run_id
),
quarantined as (
    select run_id, count(distinct source_row) as rows_stored_quarantined
    from quarantine
    semi join checked using (run_id)
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
    coalesce(rows_stored_unknown, 0) as rows_stored_unknown,
from checked
left join scored using (run_id)
left join quarantined using (run_id)
where
    rows_source <> rows_scored + rows_quarantined
    or rows_scored <> coalesce(rows_stored, 0)
    or rows_quarantined <> coalesce(rows_stored_quarantined, 0)
    or rows_flagged <> coalesce(rows_stored_flagged, 0)
    or coalesce(rows_unknown, 0) <> coalesce(rows_stored_unknown, 0)
order by partition_date;
