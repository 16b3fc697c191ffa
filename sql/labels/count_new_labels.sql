-- Grain: exactly one row: lines that are new, that add nothing to what is recorded, and that name no scored
-- row.
with counted as (
    select
        (select count(*) from reported) as lines,
        (select count(*) from dated) as lines_scored,
        (select count(*) from matched where not is_known) as added,
)
select added, lines_scored - added as known, lines - lines_scored as unknown
from counted;
