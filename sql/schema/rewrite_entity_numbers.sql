-- Rewrites numbers that earlier versions wrote as their type did: 7.0 and 7.00 become 7, 1e+16 its digits, 7.50 7.5.
create or replace temp macro canonical_number(written) as
case
    when regexp_full_match(written, '-?(0|[1-9][0-9]*)\.0+') then if(split_part(written, '.', 1) = '-0', '0', split_part(written, '.', 1))
    when regexp_full_match(written, '-?(0|[1-9][0-9]*)\.[0-9]+') then rtrim(written, '0')
    when regexp_full_match(written, '-?[1-9](\.[0-9]+)?e\+[0-9]+') then format('{:.0f}', written::double)
    else written
end;

update score_rows set entity = canonical_number(entity) where entity <> canonical_number(entity);
