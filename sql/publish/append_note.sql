-- Appends a note to the message of a run.
update runs
set message = concat_ws('; ', message, $note)
where run_id = $run_id;
