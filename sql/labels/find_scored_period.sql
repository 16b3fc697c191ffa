-- Grain: exactly one row: the first and the last date of $first_date..$last_date with a current run; null if there
-- is none.
select min(partition_date) as first_date, max(partition_date) as last_date
from current_runs
where partition_date between $first_date and $last_date;
