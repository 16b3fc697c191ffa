-- Grain: one row per flagged row of the current runs of the dates $first_date..$last_date.
select partition_date, id
from scores
where is_flagged and partition_date between $first_date and $last_date
order by partition_date, id;
