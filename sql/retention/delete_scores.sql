-- Deletes the scored rows of these runs.
delete from score_rows
where run_id in (select unnest($runs::varchar[]));
