-- Grain: one row per run of these dates that has a message.
select run_id, message
from runs
where message is not null and partition_date in (select unnest($dates::date[]));
