-- Grain: one row per current run whose share of flagged rows is below $low. It is a warning and no check: above the
-- band a night is doubtful, which the brake decides. None means pass.
select run_id, partition_date, rows_flagged, rows_scored, rows_flagged / rows_scored as flagged_share
from current_runs
where
    ($run_id::varchar is null or run_id = $run_id)
    and rows_scored > 0
    and rows_flagged / rows_scored < $low
order by partition_date;
