-- Grain: one row per row of the dates $first_date..$last_date that the current run of its date flagged.
select partition_date, id
from scores
where is_flagged and partition_date between $first_date and $last_date
order by partition_date, id;
