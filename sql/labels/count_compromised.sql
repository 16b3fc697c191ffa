-- Notes that the known compromised entities of a run are stored, and how many there are.
update runs
set compromised_entities = (select count(*) from compromised where run_id = $run_id)
where run_id = $run_id;
