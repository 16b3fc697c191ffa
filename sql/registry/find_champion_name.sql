-- Grain: at most one row: the champion of a date, even if its artifact was pruned.
select version, effective_from
from champions
where effective_from <= $partition_date and coalesce(effective_until > $partition_date, true);
