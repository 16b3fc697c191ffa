-- Grain: at most one row: the current run of a date, if it is not $run_id.
select run_id
from current_runs
where partition_date = $partition_date and run_id <> $run_id;
