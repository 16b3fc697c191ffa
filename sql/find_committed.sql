-- Grain: the current run of this date, if it has the same source, model and configuration.
select run_id, rows_source, rows_scored, rows_quarantined, rows_flagged, threshold
from current_runs
where
    partition_date = $partition_date
    and source_fingerprint = $source_fingerprint
    and model_version = $model_version
    and config_hash = $config_hash;
