-- Grain: at most one row: the version that is champion on a business date, whatever became of its artifact.
select version, effective_from
from champions
where effective_from <= $partition_date and coalesce(effective_until > $partition_date, true);
