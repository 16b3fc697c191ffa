-- Grain: one row per current run and feature with two profiles, or with more counted rows than the run has
-- scored (1e-9 allows for rounding of the weight). None means pass.
select
    runs.run_id,
    runs.partition_date,
    feature,
    kind,
    count(*) as lines,
    max(weight * list_sum(counts)) as rows_counted,
    any_value(rows_scored) as rows_scored,
from profiles
join current_runs as runs using (run_id)
where $run_id::varchar is null or runs.run_id = $run_id
group by all
having lines > 1 or not coalesce(rows_counted <= rows_scored * (1 + 1e-9), false)
order by runs.partition_date, feature;
