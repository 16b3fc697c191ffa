-- Grain: at most one row, where the drift after a night was measured since the night was committed.
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
