-- Grain: one row per line of answers and scored row that it may mean: of its date, else of any. An id counts as it is
-- written; where no row has that id, a whole number that is written like 7.0 counts as 7.
create or replace temp table meant as
with spelled as (
    select line, id as scored_id, 1 as spelling
    from given
    union all
    select line, regexp_replace(id, '\.0+$', '') as scored_id, 2 as spelling
    from given
    where regexp_full_match(id, '-?\d+\.0+')
),
found as (
    select line, spelling, answer, note, scores.run_id, scores.partition_date, scores.id, scores.is_flagged
    from given
    join spelled using (line)
    join scores
        on scores.id = spelled.scored_id
        and scores.partition_date = coalesce(given.partition_date, scores.partition_date)
)
select * exclude (spelling)
from found
qualify spelling = min(spelling) over (partition by line);
