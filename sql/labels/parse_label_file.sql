-- Grain: one row per line of a label file, parsed from the text in `lines` (numbered from 1). Invalid values
-- are null.
create or replace temp table reported as
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
from lines;
