-- Grain: exactly one row: when a date was first committed; null if it never was.
select min(committed_at) as committed_at
from runs
where status = 'committed' and partition_date = $partition_date;
