-- A version whose artifact was pruned and that was learnt again is in service again.
update models
set pruned_at = null, artifact_path = $artifact_path, artifact_sha256 = $artifact_sha256
where version = $version and pruned_at is not null;
