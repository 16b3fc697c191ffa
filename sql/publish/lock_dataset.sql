-- Every publisher updates this one row, so that two at once conflict on every engine.
update publish_lock
set updated_at = now();
