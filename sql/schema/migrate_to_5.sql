-- From format 4 to 5: analysts answer alerts, and a dismissed entity may be quiet for some days.
create table answers (
    run_id varchar,
    partition_date date,
    id varchar,
    is_flagged boolean,
    answer varchar,
    answered_by varchar,
    note varchar,
    known_at date,
    recorded_at timestamptz,
);

create table alert_rules (
    quiet_days bigint,
    quiet_factor double,
    written_at timestamptz,
);
