-- Grain: exactly one row: how many of the answered rows are recorded anew, as fraud and as normal, and how many were
-- known already.
with answered as (
    select distinct id, partition_date
    from meant
),
fresh as (
    select distinct id, partition_date, answer
    from new_answers
)
select
    (select count(*) from fresh where answer = 'fraud') as fraud,
    (select count(*) from fresh where answer = 'normal') as normal,
    (select count(*) from answered) - (select count(*) from fresh) as known;
