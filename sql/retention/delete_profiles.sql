-- Deletes the profiles of these runs.
delete from profiles
where run_id in (select unnest($runs::varchar[]));
