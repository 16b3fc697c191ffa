-- Grain: at most one row: the run of a date that was current at the instant of the variable as_of.
select
    run_id,
    model_version as version,
    threshold,
    threshold_rule as rule,
    source_fingerprint as fingerprint,
    config_hash,
    rows_scored as rows,
    rows_flagged as flagged,
    committed_at,
    pruned_at,
from current_runs
where partition_date = $partition_date;
