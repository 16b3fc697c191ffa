-- Grain: at most one row: the held run of a date with this source, version and configuration.
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
    doubt,
from runs
where
    status = 'held'
    and superseded_at is null
    and partition_date = $partition_date
    and source_fingerprint in (select unnest($source_fingerprints::varchar[]))
    and model_version = $model_version
    and config_hash in (select unnest($config_hashes::varchar[]))
limit 1;
