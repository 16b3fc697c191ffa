-- From format 1 to 2: `runs` says which version of Nightscore wrote a night, and `warehouse_format` which
-- format the tables have.
alter table runs add column product_version varchar;

create table warehouse_format (
    format integer,
    product_version varchar,
    written_at timestamptz,
);
