-- Deletes the compromised of these runs.
delete from compromised
where run_id in (select unnest($runs::varchar[]));
