-- Grain: one row per date with more than one current run. None means pass.
select partition_date, count(*) as current_runs, list(run_id order by committed_at) as run_ids
from current_runs
where $run_id::varchar is null or partition_date = (select partition_date from runs where run_id = $run_id)
group by partition_date
having count(*) > 1
order by partition_date;
