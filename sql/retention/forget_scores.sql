-- Replaces an entity and its ids by pseudonyms in the scored rows, without their time, details and reasons.
-- Score, rank and flag stay, so that every count and every figure stays.
update score_rows
set
    id = pseudonym,
    entity = if(entity = $entity, $name, entity),
    event_time = null,
    reasons = null,
    details = null
from forgotten_ids
where forgotten_ids.partition_date = score_rows.partition_date and forgotten_ids.id = score_rows.id;
