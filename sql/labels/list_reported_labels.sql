-- Grain: one row per id whose newest label known at the end of $as_of is not from the source's own column.
with newest as (
    select id, partition_date, label, source
    from labels
    where known_at <= $as_of and partition_date between $first_date and $last_date
    qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1
)
select newest.id, any_value(scores.entity) as entity, newest.partition_date, newest.label, cast(1 as double) as weight
from newest
left join scores using (id, partition_date)
where newest.source <> 'source'
group by all
order by all;
