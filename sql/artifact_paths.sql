-- Grain: one row per registered version: where its artifact and its card are, and whether they were pruned.
select version, artifact_path, card_path, pruned_at is not null as is_pruned
from models;
