-- Grain: one row per column of a label file with invalid values: how many lines, and the first one. None
-- means pass.
with invalid as (
    select line, 'id' as "column", lines.id as written
    from reported
    join lines using (line)
    where reported.id is null
    union all
    select line, 'label', lines.label
    from reported
    join lines using (line)
    where reported.label is null
    union all
    select line, 'known_at', lines.known_at
    from reported
    join lines using (line)
    where reported.known_at is null
    union all
    select line, 'source', lines.source
    from reported
    join lines using (line)
    where reported.source is null or lower(reported.source) in ('source', 'answer')
    union all
    select line, 'partition_date', lines.partition_date
    from reported
    join lines using (line)
    where reported.partition_date is null and lines.partition_date is not null
)
select "column", count(*) as lines, min(line) as first_line, arg_min(written, line) as written
from invalid
group by "column"
order by first_line;
