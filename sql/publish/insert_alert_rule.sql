-- Grain: one row where the section [alerts] is not the one in force; none where it is.
insert into alert_rules by name
with in_force as (
    select quiet_days, quiet_factor
    from alert_rules
    order by written_at desc
    limit 1
)
select $quiet_days as quiet_days, $quiet_factor as quiet_factor, now() as written_at
where not exists (from in_force where quiet_days = $quiet_days and quiet_factor = $quiet_factor);
