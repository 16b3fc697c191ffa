-- Grain: one row per line of a label file, parsed from the text in `lines` (numbered as its reader counts them).
-- Invalid values are null: a date before 1900 or without a day cannot be meant, and nothing is known after today.
create or replace temp table reported as
with parsed as (
    select
        line,
        nullif(trim(id), '') as id,
        case
            when lower(trim(label)) in ('1', '1.0', 'true') then true
            when lower(trim(label)) in ('0', '0.0', 'false') then false
        end as label,
        try_cast(try_cast(known_at as timestamp) as date) as known_at,
        nullif(trim(source), '') as source,
        try_cast(try_cast(partition_date as timestamp) as date) as partition_date,
        nullif(trim(kind), '') as kind,
    from lines
)
select * replace (
    if(known_at between date '1900-01-01' and $today, known_at, null) as known_at,
    if(partition_date between date '1900-01-01' and $today, partition_date, null) as partition_date
)
from parsed;
