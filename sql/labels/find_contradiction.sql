-- Grain: at most one row: the first line of a label file that gives another label than an earlier line for the same
-- scored row, source and date. None means pass.
with compared as (
    select
        line,
        id,
        label,
        first_value(line) over same as first_line,
        first_value(label) over same as first_label,
    from dated
    window same as (partition by scored_id, scored_date, known_at, source order by line)
)
select first_line, line, id
from compared
where label <> first_label
order by line
limit 1;
