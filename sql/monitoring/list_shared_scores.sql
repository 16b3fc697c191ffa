-- Grain: one row per row of $dates that both versions have scored, with its label and weight if both were known
-- at the end of $as_of.
select
    partition_date,
    scores.id,
    scores.entity,
    champion.score as champion_score,
    challenger.score as challenger_score,
    champion.p_value as champion_p_value,
    challenger.p_value as challenger_p_value,
    champion.is_flagged as champion_flagged,
    challenger.is_flagged as challenger_flagged,
    if(known.weight is null, null, known.label) as label,
    coalesce(known.weight, 1.0) as weight,
from scores
join version_scores as champion using (run_id, partition_date, id)
join version_scores as challenger using (run_id, partition_date, id)
left join labels_known_at($as_of) as known using (partition_date, id)
where
    partition_date in (select unnest($dates::date[]))
    and champion.model_version = $champion
    and challenger.model_version = $challenger
order by partition_date, scores.id;
