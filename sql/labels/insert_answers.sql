-- Grain: one row per new answer.
insert into answers by name
select
    run_id,
    partition_date,
    id,
    is_flagged,
    answer,
    $answered_by as answered_by,
    note,
    $today as known_at,
    now() as recorded_at,
from new_answers;
