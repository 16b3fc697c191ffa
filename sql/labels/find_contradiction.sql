-- Grain: at most one row: the first line of a label file that gives another label, or another kind, than an earlier line
-- for the same scored row, source and date. None means pass.
with compared as (
    select
        line,
        id,
        label,
        kind,
        first_value(line) over same as first_line,
        first_value(label) over same as first_label,
        first_value(kind ignore nulls) over same as first_kind,
        first_value(if(kind is null, null, line) ignore nulls) over same as first_line_of_kind,
    from dated
    window same as (partition by scored_id, scored_date, known_at, source order by line)
)
select
    if(label <> first_label, first_line, first_line_of_kind) as first_line,
    line,
    id,
    if(label <> first_label, 'labels', 'kinds') as what,
from compared
where label <> first_label or kind <> first_kind
order by line
limit 1;
