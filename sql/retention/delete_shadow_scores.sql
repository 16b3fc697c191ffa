-- The challengers' scores of these runs go.
delete from shadow_scores
where run_id in (select unnest($runs::varchar[]));
