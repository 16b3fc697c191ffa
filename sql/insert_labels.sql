-- Grain: one row per id whose label is new, or differs from the newest one; `found` holds what the source's own column says now.
insert into labels by name
select
    found.id,
    found.partition_date,
    found.label,
    found.weight,
    if(known.id is null, found.known_at, greatest(found.known_at, $as_of)) as known_at,
    'source' as source,
from found
left join latest_labels as known using (id, partition_date)
where
    found.label is not null
    and (known.id is null or known.label <> found.label or known.weight <> found.weight);
