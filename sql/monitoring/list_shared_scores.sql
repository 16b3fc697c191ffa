-- Grain: one row per row of $dates that both versions have scored, with its label and weight if both were known
-- at the end of $as_of.
select
    labelled.partition_date,
    labelled.id,
    labelled.entity,
    champion.score as champion_score,
    challenger.score as challenger_score,
    champion.p_value as champion_p_value,
    challenger.p_value as challenger_p_value,
    champion.is_flagged as champion_flagged,
    challenger.is_flagged as challenger_flagged,
    labelled.label,
    labelled.weight,
    labelled.is_new,
from labelled_rows($as_of) as labelled
semi join current_runs using (run_id)
join version_scores as champion using (run_id, partition_date, id)
join version_scores as challenger using (run_id, partition_date, id)
where
    labelled.partition_date in (select unnest($dates::date[]))
    and champion.model_version = $champion
    and challenger.model_version = $challenger
order by labelled.partition_date, labelled.id;
