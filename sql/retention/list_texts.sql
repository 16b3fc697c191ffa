-- Grain: one row per text and date that may name an entity: messages of runs, notes of answers, and reasons of
-- promotions; of the date that it is about, with the number of rows that have it.
with texts as (
    select 'messages of runs' as place, message as text, partition_date
    from runs
    union all
    select 'notes of answers' as place, note as text, partition_date
    from answers
    union all
    select 'reasons of promotions' as place, why as text, effective_from as partition_date
    from promotions
)
select place, text, partition_date, count(*) as rows
from texts
where text is not null
group by all
order by all;
