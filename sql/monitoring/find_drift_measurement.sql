-- Grain: at most one row, if the drift of a date was measured after its current run was committed.
select true
from current_runs as runs
where
    runs.partition_date = $partition_date
    and exists (
        from metrics
        where
            metrics.detector = 'drift'
            and metrics.last_date = runs.partition_date
            and metrics.model_version = runs.model_version
            and metrics.measured_at >= runs.committed_at
    );
