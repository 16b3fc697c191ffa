-- Grain: one row per bad source row and rule of one run, from its staged Parquet.
insert into quarantine
select $run_id, $partition_date, row, id, rule, "column", content
from read_parquet($path);
