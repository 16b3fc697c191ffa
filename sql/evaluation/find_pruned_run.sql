-- Grain: at most one row: the run, if its rows were pruned.
select pruned_at
from runs
where run_id = $run_id and pruned_at is not null;
