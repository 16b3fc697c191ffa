-- Grain: one row per current run of the window that is not pruned, with the version that scored it.
select
    runs.partition_date,
    runs.run_id,
    runs.source_fingerprint,
    runs.config_hash,
    runs.rows_source,
    runs.rows_scored,
    runs.rows_quarantined,
    runs.rows_flagged,
    runs.threshold,
    runs.data_docs,
    models.version,
    models.as_of,
    models.first_date,
    models.last_date,
    models.artifact_path,
    models.artifact_sha256,
    models.card_path,
    models.withheld,
    (models.metrics ->> 'held_out')::bigint as held_out,
from current_runs as runs
join models on models.version = runs.model_version
where runs.partition_date between $first_date and $last_date and runs.pruned_at is null
order by runs.partition_date;
