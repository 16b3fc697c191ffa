-- Replaces the ids of an entity by pseudonyms in the quarantined rows, without their content.
update quarantine
set id = pseudonym, content = null
from forgotten_ids
where forgotten_ids.partition_date = quarantine.partition_date and forgotten_ids.id = quarantine.id;
