-- Expires every earlier snapshot of a lake: what was known when is in the rows themselves.
call ducklake_expire_snapshots('warehouse', older_than => now());
