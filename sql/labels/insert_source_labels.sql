-- Grain: one row per id whose label, weight or kind in the source's own columns is new or has changed since it
-- was last recorded; `found` holds the column as it is now. Labels from others (analyst, chargeback) are
-- ignored here; the macro labels_known_at decides between them. On a date with forgotten rows, only the ids of its
-- other rows are taken, so that those of the forgotten ones do not come back from the source.
insert into labels by name
with recorded as (
    select id, partition_date, label, weight, kind
    from labels
    where source = 'source' and partition_date in (select partition_date from found)
    qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1
),
stored as (
    select partition_date, id
    from score_rows
    where partition_date in (select partition_date from found)
    union
    select partition_date, id
    from quarantine
    where partition_date in (select partition_date from found)
),
forgotten_dates as (
    select distinct partition_date
    from stored
    where regexp_full_match(id, $pseudonym)
)
select
    found.id,
    found.partition_date,
    found.label,
    found.weight,
    if(recorded.id is null, found.known_at, greatest(found.known_at, $as_of)) as known_at,
    'source' as source,
    found.kind,
    now() as recorded_at,
from found
left join recorded using (id, partition_date)
where
    found.label is not null
    and (
        recorded.id is null
        or recorded.label <> found.label
        or recorded.weight is distinct from found.weight
        or recorded.kind is distinct from found.kind
    )
    and (
        found.partition_date not in (from forgotten_dates)
        or (found.partition_date, found.id) in (from stored)
    );
