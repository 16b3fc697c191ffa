-- Grain: at most one row: the current run of a date, if it is doubtful and nobody has accepted it yet.
select
    partition_date as date,
    run_id,
    rows_source,
    rows_scored,
    rows_quarantined,
    rows_flagged,
    rows_unknown,
    model_version,
    threshold,
from current_runs
where partition_date = $partition_date and doubt is not null and accepted_by is null;
