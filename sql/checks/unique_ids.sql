-- Grain: one row per id that occurs more than once in a current run, of the ids in one of $parts parts, by their
-- hashes. None means pass.
select run_id, partition_date, id, count(*) as times
from scores
where ($run_id::varchar is null or run_id = $run_id) and hash(id) % $parts::ubigint = $part::ubigint
group by all
having count(*) > 1
order by partition_date, id;
