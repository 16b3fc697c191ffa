-- Grain: exactly one row: the next pseudonym of an entity.
with numbers as (
    select regexp_extract(coalesce(entity, id), '^forgotten-(\d+)', 1) as number
    from score_rows
    where starts_with(coalesce(entity, id), 'forgotten-')
    union all
    select regexp_extract(id, '^forgotten-(\d+)', 1) as number
    from quarantine
    where starts_with(id, 'forgotten-')
)
select 'forgotten-' || (coalesce(max(try_cast(number as bigint)), 0) + 1) as name
from numbers;
