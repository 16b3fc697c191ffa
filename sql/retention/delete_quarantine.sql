-- Deletes the quarantined rows of these runs.
delete from quarantine
where run_id in (select unnest($runs::varchar[]));
