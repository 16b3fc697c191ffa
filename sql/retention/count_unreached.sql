-- Grain: exactly one row: the versions whose artifact exists, and the rows with labels or answers that are no longer
-- in scores and quarantine, so that nothing leads from their entity to their id.
with labelled as (
    select partition_date, id
    from labels
    union
    select partition_date, id
    from answers
)
select
    (select count(*) from models where pruned_at is null) as versions,
    (
        select count(*)
        from labelled
        anti join score_rows using (partition_date, id)
        anti join quarantine using (partition_date, id)
    ) as lone_labels;
