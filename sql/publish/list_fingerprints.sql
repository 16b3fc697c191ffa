-- Grain: one row per date of first..last with a current run: the content that was scored.
select partition_date, source_fingerprint
from current_runs
where partition_date between $first_date and $last_date;
