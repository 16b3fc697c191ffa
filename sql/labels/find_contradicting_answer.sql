-- Grain: at most one row: the first line of answers that gives a scored row another answer than an earlier line. None
-- means pass.
with compared as (
    select
        line,
        id,
        answer,
        first_value(line) over same as first_line,
        first_value(answer) over same as first_answer,
    from meant
    window same as (partition by id, partition_date order by line)
)
select first_line, line, id
from compared
where answer <> first_answer
order by line
limit 1;
