-- Grain: one row per id of a date: its newest label among those recorded up to the instant of the variable
-- as_of.
select id, label
from latest_labels
where partition_date = $partition_date;
