-- Grain: one row per date that has a run of any status, in order.
select distinct partition_date
from runs
order by partition_date;
