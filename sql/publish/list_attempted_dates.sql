-- Grain: one row per date that has a run, committed or not.
select distinct partition_date
from runs
order by partition_date;
