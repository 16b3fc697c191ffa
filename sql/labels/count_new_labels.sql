-- Grain: exactly one row: how many lines of a label file are new, already recorded, and without a scored row.
with counted as (
    select
        (select count(*) from reported) as lines,
        (select count(*) from dated) as lines_scored,
        (select count(*) from matched where not is_known) as added,
)
select added, lines_scored - added as known, lines - lines_scored as unknown
from counted;
