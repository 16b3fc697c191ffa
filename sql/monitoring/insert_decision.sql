-- Grain: one row per challenger, append-only; an existing decision stays.
insert into decisions by name
select
    $version as version,
    $champion as champion,
    $as_of as as_of,
    $first_date as first_date,
    $last_date as last_date,
    $dates as dates,
    $rows as rows,
    $frauds as frauds,
    $rule as rule,
    $metric as metric,
    $champion_value as champion_value,
    $challenger_value as challenger_value,
    $difference as difference,
    $low as low,
    $high as high,
    $overlap as overlap,
    $shift as shift,
    $fit as fit,
    $promoted as promoted,
    $why as why,
    now() as decided_at,
where
    not exists (from decisions where version = $version);
