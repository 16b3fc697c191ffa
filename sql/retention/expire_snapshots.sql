-- A lake keeps no earlier state of its tables: what was known when is in their rows.
call ducklake_expire_snapshots('warehouse', older_than => now());
