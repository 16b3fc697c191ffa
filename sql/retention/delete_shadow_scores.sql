-- Deletes the challengers' scores of these runs.
delete from shadow_scores
where run_id in (select unnest($runs::varchar[]));
