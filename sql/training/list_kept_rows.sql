-- Grain: one row per scored row of $first_date..$last_date that was not forgotten, of the runs in which others were.
-- $pseudonym: what the id of a forgotten row looks like.
with forgetting_runs as (
    select distinct run_id
    from score_rows
    where partition_date between $first_date and $last_date and regexp_full_match(id, $pseudonym)
)
select distinct partition_date, id
from score_rows
where
    partition_date between $first_date and $last_date
    and run_id in (from forgetting_runs)
    and not regexp_full_match(id, $pseudonym)
order by all;
