-- Replaces the ids of an entity by pseudonyms in the challengers' scores.
update shadow_scores
set id = pseudonym
from forgotten_ids
where forgotten_ids.partition_date = shadow_scores.partition_date and forgotten_ids.id = shadow_scores.id;
