-- Grain: at most one row: a version by name, if its artifact was not pruned.
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
where version = $version and pruned_at is null;
