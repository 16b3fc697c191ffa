-- Grain: one row per scored row of the window's current runs, with its label if label and weight were
-- known at the end of $as_of.
select
    scores.partition_date,
    scores.id,
    scores.entity,
    scores.score,
    scores.p_value,
    scores.is_flagged,
    scores.reasons,
    if(known.weight is null, null, known.label) as label,
    coalesce(known.weight, 1.0) as weight,
from scores
left join labels_known_at($as_of) as known using (id, partition_date)
where scores.partition_date between $first_date and $last_date
order by scores.partition_date, scores.id;
