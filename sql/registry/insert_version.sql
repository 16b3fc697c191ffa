-- Grain: one row per trained version; an existing one stays as it is.
insert into models by name
select
    $version as version,
    $as_of as as_of,
    $first_date as first_date,
    $last_date as last_date,
    $rows as rows,
    $dates as dates,
    $known_frauds as known_frauds,
    $unconfirmed as unconfirmed,
    $contamination as contamination,
    $architecture as architecture,
    $score as score,
    $training_hash as training_hash,
    $metrics as metrics,
    $gates as gates,
    $withheld as withheld,
    $artifact_path as artifact_path,
    $artifact_sha256 as artifact_sha256,
    $card_path as card_path,
    $device as device,
    now() as trained_at,
where not exists (from models where version = $version);
