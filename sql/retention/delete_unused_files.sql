-- Deletes the files that no snapshot of a lake refers to, a day after they were released: until then a reader
-- may still use them.
call ducklake_cleanup_old_files('warehouse', older_than => now() - interval 1 day);
