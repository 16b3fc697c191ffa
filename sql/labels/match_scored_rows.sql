-- Grain of `dated`: one row per line of a label file that names a scored row, with the row's date (the
-- newest, where the file gives none).
create or replace temp table dated as
select reported.*, scores.partition_date as scored_date
from reported
join scores on scores.id = reported.id and scores.partition_date = coalesce(reported.partition_date, scores.partition_date)
qualify row_number() over (partition by reported.line order by scores.partition_date desc) = 1;

-- Grain of `matched`: one row per distinct statement among them, with the row's weight, and whether the very
-- same is recorded already.
create or replace temp table matched as
with once as (
    select id, scored_date as partition_date, label, known_at, source
    from dated
    qualify row_number() over (partition by id, scored_date, label, known_at, source order by line) = 1
)
select
    once.*,
    coalesce(latest_labels.weight, 1) as weight,
    exists (
        from labels
        where
            labels.id = once.id
            and labels.partition_date = once.partition_date
            and labels.label = once.label
            and labels.known_at = once.known_at
            and labels.source = once.source
    ) as is_known,
from once
left join latest_labels using (id, partition_date);
