-- Grain: one row per current run and version named in its scores that is not registered, is not the run's
-- own, or has an as_of after the run's date. None means pass.
with named as (
    select run_id, partition_date, model_version, count(*) as rows
    from scores
    where $run_id::varchar is null or run_id = $run_id
    group by all
)
select named.run_id, named.partition_date, named.model_version, named.rows, models.as_of
from named
join current_runs as runs using (run_id)
left join models on models.version = named.model_version
where
    models.version is null
    or named.model_version is distinct from runs.model_version
    or models.as_of > named.partition_date
order by named.partition_date;
