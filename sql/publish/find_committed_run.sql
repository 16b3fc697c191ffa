-- Grain: at most one row: the run that makes this one unnecessary: itself, if it is in the ledger already,
-- or, unless $force, the current run of its date with the same source, version and configuration.
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
    if(accepted_by is null, doubt, null) as doubt,
from runs
where
    (run_id = $run_id and status = 'committed')
    or (
        not $force
        and run_id in (select run_id from current_runs)
        and partition_date = $partition_date
        and source_fingerprint in (select unnest($source_fingerprints::varchar[]))
        and model_version = $model_version
        and config_hash in (select unnest($config_hashes::varchar[]))
    )
limit 1;
