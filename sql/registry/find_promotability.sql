-- Grain: at most one row: what decides whether a version may be promoted.
select version, as_of, artifact_path, artifact_sha256, withheld, pruned_at, training_hash
from models
where version = $version;
