-- The files that no state of a lake's tables names go a day later: until then a reader may still be in them.
call ducklake_cleanup_old_files('warehouse', older_than => now() - interval 1 day);
