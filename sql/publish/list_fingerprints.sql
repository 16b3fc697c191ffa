-- Grain: one row per date of $first_date..$last_date with a current run: the fingerprint of its source.
select partition_date, source_fingerprint
from current_runs
where partition_date between $first_date and $last_date;
