-- Puts a pruned version that was trained again back into service.
update models
set pruned_at = null, artifact_path = $artifact_path, artifact_sha256 = $artifact_sha256
where version = $version and pruned_at is not null;
