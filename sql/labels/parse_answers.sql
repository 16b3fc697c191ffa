-- Grain: one row per line of answers, parsed from the text in `lines`. Invalid values are null: a date before 1900 or
-- without a day cannot be meant, and no row is of a date after today.
create or replace temp table given as
with parsed as (
    select
        line,
        nullif(trim(id), '') as id,
        if(lower(trim(answer)) in ('fraud', 'normal'), lower(trim(answer)), null) as answer,
        try_cast(try_cast(date as timestamp) as date) as partition_date,
        nullif(trim(note), '') as note,
    from lines
)
select * replace (
    if(partition_date between date '1900-01-01' and $today, partition_date, null) as partition_date
)
from parsed;
