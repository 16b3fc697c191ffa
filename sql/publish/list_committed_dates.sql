-- Grain: one row per date that has a current run.
select partition_date
from current_runs
order by partition_date;
