-- Grain: one row per answer that is new: not the newest one of its row already, by the same person with the same note;
-- with the sample weight of its row, null where it is not known.
create or replace temp table new_answers as
with distinct_answers as (
    select distinct run_id, partition_date, id, is_flagged, answer, note
    from meant
)
select
    distinct_answers.*,
    if(latest_labels.id is null, 1, latest_labels.weight) as weight,
from distinct_answers
left join latest_labels
    on latest_labels.id = distinct_answers.id and latest_labels.partition_date = distinct_answers.partition_date
where not exists (
    from latest_answers as newest
    where
        newest.id = distinct_answers.id
        and newest.partition_date = distinct_answers.partition_date
        and newest.answer = distinct_answers.answer
        and newest.answered_by = $answered_by
        and newest.note is not distinct from distinct_answers.note
);
