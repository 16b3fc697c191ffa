-- Grain: one row per scored source row of one run, current or superseded.
select id, entity, score, p_value, is_flagged
from score_rows
where run_id = $run_id;
