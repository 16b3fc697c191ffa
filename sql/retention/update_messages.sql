-- Replaces a message of runs.
update runs
set message = $replacement
where message = $text;
