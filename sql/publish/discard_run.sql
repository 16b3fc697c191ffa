-- Marks a held run as discarded.
update runs
set status = 'discarded'
where run_id = $run_id and status = 'held';
