-- Grain: at most one row: the current run of a date, if it started after $started_at of a staged one.
select run_id
from current_runs
where partition_date = $partition_date and started_at > $started_at;
