-- Grain: one row per scored source row of one run, from its staged Parquet.
insert into score_rows
select $run_id, $partition_date, id, entity, event_time, error, score, p_value, rank, is_flagged, reasons, details, $model_version
from read_parquet($path);
