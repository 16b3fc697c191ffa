-- Grain: one row per id and partition_date whose label in force at the end of $as_of is not from the source's own
-- column.
-- Materialized, so that the scores are read by these few ids instead of by date: 18 ms instead of 25 on a DuckDB
-- file with 1,000,000 labels.
with reported as materialized (
    from labels_known_at($as_of)
    where partition_date between $first_date and $last_date and source <> 'source'
)
select
    reported.id,
    any_value(scores.entity) as entity,
    reported.partition_date,
    reported.label,
    cast(1 as double) as weight,
    reported.known_at,
from reported
left join scores using (id, partition_date)
group by all
order by all;
