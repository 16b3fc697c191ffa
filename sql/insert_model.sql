-- Grain: one row per trained version.
insert into models by name
select
    $version as version,
    $as_of as as_of,
    $first_date as first_date,
    $last_date as last_date,
    $rows as rows,
    $architecture as architecture,
    $score as score,
    $training_hash as training_hash,
    $metrics as metrics,
    $artifact_path as artifact_path,
    $artifact_sha256 as artifact_sha256,
    $device as device,
    now() as trained_at;
