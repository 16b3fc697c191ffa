-- Grain: one row per date that has a current run, in order.
select partition_date
from current_runs
order by partition_date;
