-- Grain: one row per bad source row of a run and rule that it broke, with the columns of the staged file.
select source_row as row, id, rule, column_name as "column", content
from quarantine
where run_id = $run_id
order by source_row;
