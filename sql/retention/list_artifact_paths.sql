-- Grain: one row per registered version: where its artifact and its card are, and whether they were pruned,
-- and the date of its training.
select version, artifact_path, card_path, pruned_at is not null as is_pruned, (trained_at at time zone 'UTC')::date as since
from models;
