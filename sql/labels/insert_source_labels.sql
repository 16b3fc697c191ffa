-- Grain: one row per id whose label in the source's own column is new, or differs from what that column said
-- last; `found` holds what it says now. What others say (an analyst, a chargeback) is left out of the
-- comparison: it stands until the column itself changes.
insert into labels by name
with known as (
    select id, partition_date, label, weight
    from labels
    where source = 'source' and partition_date in (select partition_date from found)
    qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1
)
select
    found.id,
    found.partition_date,
    found.label,
    found.weight,
    if(known.id is null, found.known_at, greatest(found.known_at, $as_of)) as known_at,
    'source' as source,
    now() as recorded_at,
from found
left join known using (id, partition_date)
where
    found.label is not null
    and (known.id is null or known.label <> found.label or known.weight <> found.weight);
