-- Grain: at most one row: the first line of answers whose scored row is of a date after today. None means pass.
select line, partition_date
from meant
where partition_date > $today
order by line
limit 1;
