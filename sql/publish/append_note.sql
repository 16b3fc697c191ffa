-- What was noted about a run, and accepted, beside what was noted before.
update runs
set message = concat_ws('; ', message, $note)
where run_id = $run_id;
