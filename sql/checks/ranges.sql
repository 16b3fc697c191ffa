-- Grain: one row per scored row of a current run with an impossible value: a p-value outside (0, 1], a rank
-- outside 1..rows_scored, an error that is missing, negative or not finite, a score that is missing or not
-- finite. None means pass.
select scores.run_id, scores.partition_date, id, error, score, p_value, rank
from scores
join current_runs using (run_id)
where
    ($run_id::varchar is null or run_id = $run_id)
    and not coalesce(
        p_value > 0 and p_value <= 1
        and rank between 1 and rows_scored
        and isfinite(error) and error >= 0
        and isfinite(score),
        false
    )
order by scores.partition_date, id;
