-- Grain: one row per creation or migration of the tables.
insert into warehouse_format by name
select
    $format as format,
    $product_version as product_version,
    now() as written_at;
