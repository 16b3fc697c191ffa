-- Grain: one row per column of the answers with invalid values: how many lines, and the first one. None means pass.
with invalid as (
    select line, 'id' as "column", lines.id as written
    from given
    join lines using (line)
    where given.id is null
    union all
    select line, 'answer', lines.answer
    from given
    join lines using (line)
    where given.answer is null
    union all
    select line, 'date', lines.date
    from given
    join lines using (line)
    where given.partition_date is null and lines.date is not null
)
select "column", count(*) as lines, min(line) as first_line, arg_min(written, line) as written
from invalid
group by "column"
order by first_line;
