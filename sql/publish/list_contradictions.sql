-- Grain: one row per id that one run scores more than once, or scores although its row was refused. None means
-- pass.
with refused as (
    from read_parquet($path)
)
select id, 'scored more than once' as problem
from score_rows
where run_id = $run_id
group by id
having count(*) > 1
union all
select id, 'scored and refused' as problem
from score_rows
semi join (from refused where copy = 0) as refused using (id)
where run_id = $run_id
order by problem, id;
