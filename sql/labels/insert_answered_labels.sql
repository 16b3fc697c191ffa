-- Grain: one row per scored row with a new answer: its label, known from the end of the day of the answer.
insert into labels by name
select distinct
    id,
    partition_date,
    answer = 'fraud' as label,
    weight,
    $today as known_at,
    'answer' as source,
    now() as recorded_at,
from new_answers;
