-- Runs whose rows are not all accounted for: what the ledger says against the distinct rows that are stored. None means pass.
with scored as (
    select run_id, count(*) as rows_scored, count(distinct id) as ids_scored
    from score_rows
    where run_id = $run_id
    group by run_id
),
quarantined as (
    select run_id, count(distinct source_row) as rows_quarantined
    from quarantine
    where run_id = $run_id
    group by run_id
)
select runs.run_id, runs.partition_date, runs.rows_source, scored.rows_scored, scored.ids_scored, quarantined.rows_quarantined
from runs
left join scored using (run_id)
left join quarantined using (run_id)
where
    runs.run_id = $run_id
    and (
        runs.rows_source <> coalesce(scored.rows_scored, 0) + coalesce(quarantined.rows_quarantined, 0)
        or coalesce(scored.ids_scored, 0) <> coalesce(scored.rows_scored, 0)
    );
