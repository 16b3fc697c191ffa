-- From here on every view shows what it showed at this instant.
set variable as_of = $as_of;
