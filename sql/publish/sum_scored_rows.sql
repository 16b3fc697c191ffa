-- Grain: exactly one row: the identities of the scored rows of one run, in any order; each is the copy 0 of its
-- id.
select count(*) as rows, coalesce(sum(hash(id, cast(0 as bigint))), 0)::varchar as total
from score_rows
where run_id = $run_id;
