-- Replaces the message of a run.
update runs
set message = $message
where run_id = $run_id;
