-- Grain: one row per current run with scored rows, or of $run_id alone, by date: how many they are.
select run_id, count(*) as rows
from scores
where $run_id::varchar is null or run_id = $run_id
group by run_id
order by run_id;
