-- Deletes the row of a held run from the ledger, in the transaction that commits it.
delete from runs
where run_id = $run_id and status = 'held';
