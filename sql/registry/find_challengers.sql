-- Grain: one row per challenger of a date, oldest first: a version of this configuration with an as_of
-- between the champion's and the date, neither withheld nor pruned, never promoted for the date (not even by
-- a promotion that was rolled back), and not decided on before the date.
select
    version,
    as_of,
    first_date,
    last_date,
    artifact_path,
    artifact_sha256,
    card_path,
    withheld,
    training_hash,
from models
where
    training_hash in (select unnest($training_hashes::varchar[]))
    and as_of between $champion_as_of and $partition_date
    and version <> $champion
    and withheld is null
    and pruned_at is null
    and not exists (
        from promotions
        where promotions.version = models.version and undoes is null and effective_from <= $partition_date
    )
    and not exists (
        from decisions
        where decisions.version = models.version and decisions.as_of < $partition_date
    )
order by as_of, trained_at, version;
