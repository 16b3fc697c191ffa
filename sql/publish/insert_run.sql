-- Grain: one row per committed, held, rejected or failed run.
insert into runs by name
select
    $run_id as run_id,
    $partition_date as partition_date,
    $status as status,
    $source_fingerprint as source_fingerprint,
    $config_hash as config_hash,
    $model_version as model_version,
    $rows_source as rows_source,
    $rows_scored as rows_scored,
    $rows_quarantined as rows_quarantined,
    $rows_flagged as rows_flagged,
    $threshold as threshold,
    $started_at as started_at,
    if($status = 'committed', now(), null) as committed_at,
    $durations as durations,
    $data_docs as data_docs,
    $message as message,
    $threshold_rule as threshold_rule,
    $product_version as product_version,
    $doubt as doubt,
    $accepted_by as accepted_by,
    if($accepted_by is null, null, now()) as accepted_at;
