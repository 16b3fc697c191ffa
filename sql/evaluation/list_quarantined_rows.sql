-- Grain: one row per bad source row and rule of one run, as it was staged.
select source_row as row, id, rule, column_name as "column", content
from quarantine
where run_id = $run_id
order by source_row;
