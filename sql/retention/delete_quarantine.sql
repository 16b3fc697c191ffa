-- The quarantined rows of these runs go.
delete from quarantine
where run_id in (select unnest($runs::varchar[]));
