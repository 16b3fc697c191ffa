-- Grain: one row per id of a date whose label was recorded by the instant of the variable as_of: the newest
-- one.
select id, label
from latest_labels
where partition_date = $partition_date;
