-- Grain: at most one row: the first line of answers that means no scored row, or several, with the newest dates on which
-- its id was scored, and whether it was quarantined. None means pass.
with counted as (
    select given.line, given.id, given.partition_date, count(meant.line) as rows
    from given
    left join meant using (line)
    group by all
)
select
    line,
    id,
    partition_date,
    rows,
    (
        select string_agg(partition_date, ', ' order by partition_date desc)
        from (select partition_date from scores where scores.id = counted.id order by partition_date desc limit 3)
    ) as dates,
    exists (from quarantined where quarantined.id = counted.id) as is_quarantined,
from counted
where rows <> 1
order by line
limit 1;
