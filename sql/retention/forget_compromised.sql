-- Replaces an entity by its pseudonym among those that were known to be compromised.
update compromised
set entity = $name
where entity = $entity;
