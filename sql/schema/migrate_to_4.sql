-- From format 3 to 4: a night may be doubtful, held and accepted; the entities that were known to be compromised
-- are stored with it; figures name their population; reasons say what is usual.
alter table runs add column doubt varchar;
alter table runs add column accepted_by varchar;
alter table runs add column accepted_at timestamptz;
alter table runs add column compromised_entities bigint;

create table compromised (
    run_id varchar,
    partition_date date,
    entity varchar,
);

alter table metrics add column population varchar;

alter table score_rows add column reasons.element.share double;
alter table score_rows add column reasons.element.usual varchar;
