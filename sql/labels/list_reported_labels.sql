-- Grain: one row per id whose newest label known at the end of $as_of is not from the source's own column.
select
    newest.id,
    any_value(scores.entity) as entity,
    newest.partition_date,
    newest.label,
    cast(1 as double) as weight,
from labels_known_at($as_of) as newest
left join scores using (id, partition_date)
where newest.source <> 'source' and newest.partition_date between $first_date and $last_date
group by all
order by all;
