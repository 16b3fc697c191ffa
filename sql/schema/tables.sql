-- The tables of one dataset, created in the dataset's own schema of the warehouse.
-- No primary or foreign keys: a DuckLake has none. Times are instants (UTC); dates are business dates of the
-- source.

-- Grain: one row per committed, rejected or failed run. Committed and not superseded = current.
create table if not exists runs (
    run_id varchar,
    partition_date date,
    status varchar,                 -- committed | rejected | failed
    source_fingerprint varchar,     -- content of the partition and its look-back, label and weight left out
    config_hash varchar,            -- the keys that decide scores; the number before the colon is its format
    model_version varchar,
    rows_source bigint,
    rows_scored bigint,
    rows_quarantined bigint,        -- distinct source rows
    rows_flagged bigint,
    threshold double,               -- score from which a row is flagged
    threshold_rule varchar,         -- JSON: the section [threshold] that decided it
    started_at timestamptz,
    committed_at timestamptz,
    superseded_at timestamptz,
    superseded_by varchar,
    durations varchar,              -- JSON: seconds by step
    data_docs varchar,              -- the night's validation page, below warehouse.files
    message varchar,                -- why it was rejected or failed; of a committed run, what was noted and
                                    -- accepted
    pruned_at timestamptz,          -- when its rows were dropped by `nightscore prune`; null where they are
                                    -- there
    product_version varchar,        -- the version of Nightscore that wrote it; null before format 2
);

-- Grain: one row per run and scored source row.
create table if not exists score_rows (
    run_id varchar,
    partition_date date,
    id varchar,
    entity varchar,
    event_time timestamp,           -- local time of source.timezone
    error real,                     -- mean loss over features, encoded units; higher is stranger
    score real,                     -- what rows are ranked by
    p_value double,                 -- conformal, against held-out normal rows
    rank bigint,                    -- 1 is the strangest of its run; equal scores share a rank
    is_flagged boolean,
    reasons struct(feature varchar, contribution double, observed varchar, expected varchar)[],
    details varchar,                -- JSON: the source columns of columns.details; null without
    model_version varchar,
);

-- Grain: one row per run, challenger and scored source row: what the challenger, which flags nothing, would
-- have said of the row.
create table if not exists shadow_scores (
    run_id varchar,                 -- entity and event_time are in score_rows
    partition_date date,
    id varchar,
    error real,
    score real,
    p_value double,
    rank bigint,
    is_flagged boolean,             -- what it would have flagged
    model_version varchar,
);

-- Grain: one row per run and feature, and one for the error: the rows of the night below its threshold (a
-- sample of them, where they are many) in the bins of the version's own normal rows, and those, cut at the
-- same threshold. The last bin of a numeric feature is for missing values.
create table if not exists profiles (
    run_id varchar,
    partition_date date,
    model_version varchar,          -- the champion's
    feature varchar,
    kind varchar,                   -- numeric | category | error
    weight double,                  -- how many rows of the night each counted one stands for
    counts bigint[],                -- rows by bin
    sums double[],                  -- of their values, encoded units; null but for numeric features
    reference_counts bigint[],
    reference_sums double[],
);

-- Grain: one row per run, bad source row and rule that it broke.
create table if not exists quarantine (
    run_id varchar,
    partition_date date,
    source_row bigint,              -- position in the partition, from 0
    id varchar,
    rule varchar,
    column_name varchar,            -- null for a rule across columns
    content varchar,                -- the row as JSON, private columns masked
);

-- Grain: one row per id, source and change of its label, append-only; the newest known_at counts, then the
-- newest recorded_at.
create table if not exists labels (
    id varchar,
    partition_date date,
    label boolean,
    weight double,                  -- sample weight, used by metrics alone
    known_at date,                  -- known from the end of this date
    source varchar,                 -- source: the source's own label column; else who says so, such as
                                    -- analyst or chargeback
    recorded_at timestamptz,        -- when it was written here
);

-- Grain: one row per trained version.
create table if not exists models (
    version varchar,
    as_of date,                     -- it never scores a date before this one
    first_date date,                -- training window
    last_date date,
    rows bigint,                    -- training rows
    dates bigint,                   -- dates of the window that they are of
    known_frauds bigint,            -- of the window, left out of the training rows
    unconfirmed bigint,             -- training rows that nothing was fitted to: flagged, and no label says
                                    -- what they are
    contamination double,           -- known_frauds and unconfirmed, as a share of all rows of the window
    architecture varchar,
    score varchar,
    training_hash varchar,          -- the sections that decide the version
    metrics varchar,                -- JSON
    gates varchar,                  -- JSON, one object per sanity gate: name, passed (null: only reported),
                                    -- finding
    withheld varchar,               -- why it may not be promoted; null where it may
    artifact_path varchar,          -- below warehouse.files
    artifact_sha256 varchar,        -- of the artifact's manifest
    card_path varchar,              -- below warehouse.files
    device varchar,
    trained_at timestamptz,
    pruned_at timestamptz,          -- when its artifact was dropped by `nightscore prune`; null where it is
                                    -- there
);

-- Grain: one row per promotion, and per promotion that a rollback undoes; append-only. In force is a
-- promotion that no rollback undoes. Champion of a date: of those in force the newest effective_from up to
-- it, then the newest promoted_at; see the view `champions`.
create table if not exists promotions (
    effective_from date,
    promoted_at timestamptz,        -- later than that of every earlier row, so it names the row
    version varchar,                -- of a rollback: the one that it puts back
    promoted_by varchar,
    why varchar,
    undoes timestamptz,             -- promoted_at of the promotion that this rollback undoes; null for a
                                    -- promotion
);

-- Grain: one row per challenger, append-only: it is decided on once, by its scores and the champion's of the
-- same rows of first_date..last_date.
create table if not exists decisions (
    version varchar,                -- the challenger
    champion varchar,               -- the version that it was compared with
    as_of date,                     -- after the night of this date, by the labels known at its end
    first_date date,
    last_date date,
    dates bigint,                   -- dates of that window that both have scored
    rows bigint,                    -- compared rows: those with a known label, or all where too few frauds
                                    -- are known
    frauds bigint,                  -- known frauds among them
    rule varchar,                   -- labels: by the metric; agreement: by alerts and scores, where too few
                                    -- frauds are known
    metric varchar,                 -- with its two values, null by agreement
    champion_value double,
    challenger_value double,
    difference double,              -- challenger minus champion, with its paired bootstrap interval
    low double,
    high double,
    overlap double,                 -- alerts of both, as a share of the alerts of either; null by labels
    shift double,                   -- Kolmogorov-Smirnov distance of the p-values of both; null by labels
    fit boolean,                    -- the rule's verdict
    promoted boolean,               -- whether that made it champion: not so where training.promotion is
                                    -- manual
    why varchar,                    -- the verdict in words
    decided_at timestamptz,
);

-- Grain: one row per window, label cut-off, detector, feature set and metric; the newest measured_at counts.
create table if not exists metrics (
    first_date date,
    last_date date,
    as_of date,                     -- labels known by the end of this date
    model_version varchar,
    detector varchar,               -- nightscore, or a baseline; drift, see the view of that name
    features varchar,               -- all | without label-derived; of drift: one feature, or error
    metric varchar,
    value double,
    low double,                     -- 95% interval
    high double,
    rows bigint,
    positives bigint,
    measured_at timestamptz,
);

-- Grain: one row per creation or migration of these tables; the highest format counts.
create table if not exists warehouse_format (
    format integer,                 -- of the tables; a newer version of Nightscore migrates them when it
                                    -- opens the warehouse
    product_version varchar,        -- the version of Nightscore that created or migrated them
    written_at timestamptz,
);

-- Grain: exactly one row; every publisher updates it, so that two at once conflict on every engine.
create table if not exists publish_lock (
    updated_at timestamptz,
);
