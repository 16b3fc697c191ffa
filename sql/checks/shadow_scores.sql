-- Grain: one row per current run and challenger that did not score exactly the run's rows, each once (compared by
-- the sums of the hashes of their ids), has impossible scores, or is the run's own version. None means pass.
with shadowed as (
    select
        run_id,
        model_version,
        count(*) as rows_shadowed,
        sum(hash(id)) as ids_shadowed,
        count(*) filter (
            not coalesce(isfinite(error) and isfinite(score) and p_value > 0 and p_value <= 1, false)
        ) as rows_impossible,
    from shadow_scores
    where $run_id::varchar is null or run_id = $run_id
    group by all
),
scored as (
    select run_id, sum(hash(id)) as ids_scored
    from score_rows
    semi join shadowed using (run_id)
    group by run_id
)
select
    run_id,
    partition_date,
    shadowed.model_version,
    rows_scored,
    rows_shadowed,
    ids_shadowed is not distinct from ids_scored as are_its_ids,
    rows_impossible,
from shadowed
join current_runs as runs using (run_id)
left join scored using (run_id)
where
    rows_shadowed <> rows_scored
    or ids_shadowed is distinct from ids_scored
    or rows_impossible > 0
    or shadowed.model_version = runs.model_version
order by partition_date, shadowed.model_version;
