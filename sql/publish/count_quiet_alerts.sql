-- Grain: exactly one row: the alerts of a date, and how many of them are open and quiet.
select count(*) as alerts, count(*) filter (is_quiet) as quiet
from all_alerts
where partition_date = $partition_date;
