-- Grain: at most one row: a run of the ledger, whatever its status.
select run_id, status
from runs
where run_id = $run_id;
