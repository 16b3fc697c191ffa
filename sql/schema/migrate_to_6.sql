-- From format 5 to 6: the views of alerts are other ones, which every migration creates anew.
drop view if exists alerts;
drop view if exists all_alerts;
