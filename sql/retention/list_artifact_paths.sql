-- Grain: one row per registered version: the paths of its artifact and card, whether they were pruned, and
-- the date of its training (UTC).
select
    version,
    artifact_path,
    card_path,
    pruned_at is not null as is_pruned,
    (trained_at at time zone 'UTC')::date as since,
from models;
