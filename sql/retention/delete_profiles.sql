-- The profiles of these runs go.
delete from profiles
where run_id in (select unnest($runs::varchar[]));
