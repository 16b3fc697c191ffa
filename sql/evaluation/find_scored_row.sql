-- Grain: at most one row: the scores of one id in the current run of a date, with the version that scored it.
select
    scores.run_id,
    scores.error,
    scores.score,
    scores.p_value,
    scores.rank,
    scores.is_flagged,
    runs.source_fingerprint,
    runs.threshold,
    models.version,
    models.artifact_path,
    models.artifact_sha256,
from scores
join current_runs as runs using (run_id)
join models on models.version = runs.model_version
where scores.partition_date = $partition_date and scores.id = $id;
