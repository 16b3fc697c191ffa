-- Replaces the ids of an entity by pseudonyms in the answers, without their notes; who answered what stays.
update answers
set id = pseudonym, note = null
from forgotten_ids
where forgotten_ids.partition_date = answers.partition_date and forgotten_ids.id = answers.id;
