-- Grain: one row per id that occurs more than once in a current run. None means pass.
select run_id, partition_date, id, count(*) as times
from scores
where $run_id::varchar is null or run_id = $run_id
group by all
having count(*) > 1
order by partition_date, id;
