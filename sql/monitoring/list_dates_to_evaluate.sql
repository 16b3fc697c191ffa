-- Grain: one row per date of a current run with labels known at the end of $as_of, whose figures by $as_of do
-- not hold: there are none, or they are older than the run or than one of those labels.
with known as (
    select partition_date, max(known_at) as known_at, max(recorded_at) as recorded_at
    from labels
    where known_at <= $as_of
    group by partition_date
),
judged as (
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
        from judged
        where
            judged.partition_date = runs.partition_date
            and judged.as_of >= known.known_at
            and judged.measured_at >= known.recorded_at
            and judged.measured_at >= runs.committed_at
    )
order by runs.partition_date;
