-- Grain: at most one row, if the newest 7 current runs, at least 3, have flagged less than one row a night. It is a
-- warning and no check. None means pass.
with newest as (
    select *
    from current_runs
    where partition_date <= coalesce((select partition_date from runs where run_id = $run_id), 'infinity'::date)
    order by partition_date desc
    limit 7
)
select count(*) as nights, min(partition_date) as since, sum(rows_flagged)::bigint as flagged
from newest
having count(*) >= 3 and sum(rows_flagged) < count(*);
