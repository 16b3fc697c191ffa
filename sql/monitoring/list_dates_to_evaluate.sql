-- Grain: one row per date of a current run, not pruned, whose labels known at the end of $as_of are not
-- evaluated yet: it has no metrics up to $as_of that are newer than the run and than each of those labels.
with known as (
    select partition_date, max(known_at) as known_at, max(recorded_at) as recorded_at
    from labels
    where known_at <= $as_of
    group by partition_date
),
evaluated as (
    select first_date as partition_date, as_of, max(measured_at) as measured_at
    from metrics
    where first_date = last_date and as_of <= $as_of and detector <> 'drift'
    group by all
)
select runs.partition_date
from current_runs as runs
join known using (partition_date)
where
    runs.pruned_at is null
    and not exists (
        from evaluated
        where
            evaluated.partition_date = runs.partition_date
            and evaluated.as_of >= known.known_at
            and evaluated.measured_at >= known.recorded_at
            and evaluated.measured_at >= runs.committed_at
    )
order by runs.partition_date;
