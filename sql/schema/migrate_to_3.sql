-- From format 2 to 3: a bad row is found by its id and copy, no longer by its position in a read.
alter table quarantine add column copy bigint;
