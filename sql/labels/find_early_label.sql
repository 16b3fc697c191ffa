-- Grain: at most one row: the first line of a label file that claims to be known before the date of its scored row.
-- None means pass.
select line, known_at, scored_date
from dated
where known_at < scored_date
order by line
limit 1;
