-- Grain: one row per current run from $effective_from on that another version has scored although $version is
-- champion of its date.
select current_runs.partition_date, current_runs.model_version
from current_runs
join champions
    on current_runs.partition_date >= champions.effective_from
    and (champions.effective_until is null or current_runs.partition_date < champions.effective_until)
where
    current_runs.partition_date >= $effective_from
    and champions.version = $version
    and current_runs.model_version is distinct from champions.version
order by current_runs.partition_date;
