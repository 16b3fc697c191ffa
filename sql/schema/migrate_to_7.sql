-- From format 6 to 7: a version with a head may share its list with the networks alone.
alter table score_rows add column rank_alone bigint;
alter table score_rows add column flagged_by varchar;
alter table runs add column rows_unknown bigint;
alter table runs add column unknown_threshold double;

-- A label may say what kind of fraud a row is.
alter table labels add column kind varchar;

-- The views of alerts are other ones, which every migration creates anew.
drop view if exists alerts;
drop view if exists all_alerts;
