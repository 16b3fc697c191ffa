-- Grain: one row per bad source row of a run and rule that it broke.
select id, copy, content
from quarantine
where run_id = $run_id;
