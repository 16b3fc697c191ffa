-- Grain: at most one row: the current run of a date, if it began after a staged one of the same date and so
-- knows more.
select run_id
from current_runs
where partition_date = $partition_date and started_at > $started_at;
