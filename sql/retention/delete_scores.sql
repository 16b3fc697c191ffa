-- The scored rows of these runs go.
delete from score_rows
where run_id in (select unnest($runs::varchar[]));
