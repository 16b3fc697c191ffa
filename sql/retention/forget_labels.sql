-- Replaces the ids of an entity by pseudonyms in the labels.
update labels
set id = pseudonym
from forgotten_ids
where forgotten_ids.partition_date = labels.partition_date and forgotten_ids.id = labels.id;
