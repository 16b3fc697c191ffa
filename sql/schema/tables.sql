-- The tables of one dataset, in the dataset's own schema of the warehouse.
-- No primary or foreign keys: DuckLake has none. Timestamps with a zone are instants; dates are the source's
-- business dates. "Encoded units": standard deviations of a numeric feature on the training rows.

-- Grain: one row per committed, held, rejected or failed run. Committed and not superseded = current.
create table if not exists runs (
    run_id varchar,
    partition_date date,
    status varchar,                 -- committed | held | discarded (was held) | rejected | failed
    source_fingerprint varchar,     -- hash of the partition and its look-back, without label and weight
    config_hash varchar,            -- hash of the keys that decide scores, after the number of its format
    model_version varchar,          -- the champion that scored the date
    rows_source bigint,             -- rows of the partition
    rows_scored bigint,
    rows_quarantined bigint,        -- distinct source rows that broke a rule
    rows_flagged bigint,
    threshold double,               -- a row is flagged if its score is at least this
    threshold_rule varchar,         -- JSON: the section [threshold] from which the threshold was derived
    started_at timestamptz,
    committed_at timestamptz,       -- null unless committed
    superseded_at timestamptz,      -- when a newer run of the date replaced it; null while current
    superseded_by varchar,          -- run_id of that newer run
    durations varchar,              -- JSON: seconds by step
    data_docs varchar,              -- path of the validation page, below warehouse.files
    message varchar,                -- why it was rejected or failed; if committed, its notes and warnings
    pruned_at timestamptz,          -- when `nightscore prune` deleted its rows; null while they exist
    product_version varchar,        -- the version of Nightscore that wrote it; null before format 2
    doubt varchar,                  -- why a committed or held night is doubtful; null if it is not
    accepted_by varchar,            -- who accepted the doubtful night; null while nobody has
    accepted_at timestamptz,
    compromised_entities bigint,    -- rows of the run in `compromised`; null while they are not determined
    rows_unknown bigint,            -- flagged rows of an unknown pattern; null without a head or threshold.reserve
    unknown_threshold double,       -- the networks' score from which these are flagged; null like rows_unknown
);

-- Grain: one row per run and scored source row. Superseded runs are included; see the view `scores`.
create table if not exists score_rows (
    run_id varchar,
    partition_date date,
    id varchar,
    entity varchar,                 -- such as a card or customer; null without an entity column
    event_time timestamp,           -- local time of source.timezone
    error real,                     -- mean loss over features, encoded units; higher is stranger
    score real,                     -- rows are ranked and flagged by it; higher is stranger
    p_value double,                 -- conformal, against held-out normal rows; in (0, 1], low is strange
    rank bigint,                    -- 1 is the strangest row of its run; equal scores share a rank
    is_flagged boolean,
    -- the features that contribute most to the score, largest first; null for rows that are not explained
    reasons struct(
        feature varchar,
        contribution double,        -- part of the score
        observed varchar,           -- the value, source units; masked where private
        expected varchar,           -- its reconstruction
        share double,               -- part of what speaks for strangeness, 0 to 1; null before format 4
        usual varchar               -- what is usual on the training rows, in words; null before format 4
    )[],
    details varchar,                -- JSON: the source columns of columns.details; null if none are set
    model_version varchar,
    rank_alone bigint,              -- the rank by the networks alone; null without a head, and before format 7
    -- known pattern: flagged in the order of the score; unknown pattern: in that of the networks alone; null if not
    -- flagged, or without a head or threshold.reserve
    flagged_by varchar,
);

-- Grain: one row per run, challenger and scored source row. A challenger scores the champion's rows but flags
-- nothing. The entity and event_time of a row are in score_rows.
create table if not exists shadow_scores (
    run_id varchar,
    partition_date date,
    id varchar,
    error real,
    score real,
    p_value double,
    rank bigint,
    is_flagged boolean,             -- whether the challenger would have flagged the row
    model_version varchar,          -- the challenger
);

-- Grain: one row per run and feature, and one for the error: histograms of the night's rows and of the
-- reference, the version's own normal rows. Both leave out rows at or above the night's threshold; of a large
-- night they count a sample. The last bin of a numeric feature is for missing values.
create table if not exists profiles (
    run_id varchar,
    partition_date date,
    model_version varchar,          -- the champion
    feature varchar,                -- the feature's name, or error
    kind varchar,                   -- numeric | category | error
    weight double,                  -- rows of the night that each counted row stands for
    counts bigint[],                -- counted rows of the night by bin
    sums double[],                  -- sum of their values by bin, encoded units; null unless numeric
    reference_counts bigint[],      -- rows of the reference by bin; of the error: held-out rows
    reference_sums double[],        -- sum of their values by bin, encoded units; null unless numeric
);

-- Grain: one row per run and entity of its scored rows that was known to be compromised on its date: that has a
-- fraud dated between the first day of the training window of the version that scored the date and
-- date - label_delay_days - 1, by the labels known at the end of the date before.
create table if not exists compromised (
    run_id varchar,
    partition_date date,
    entity varchar,
);

-- Grain: one row per run, bad source row and rule that it broke.
create table if not exists quarantine (
    run_id varchar,
    partition_date date,
    source_row bigint,              -- numbers the bad rows of the run from 0; before format 3, position in the partition
    id varchar,
    copy bigint,                    -- number of the row among those of its id, by content; null before format 3
    rule varchar,
    column_name varchar,            -- null for a rule across columns
    content varchar,                -- the row as JSON, private columns masked
);

-- Grain: one row per id, source and change of its label; append-only. Which one is in force: see the macro
-- labels_known_at.
create table if not exists labels (
    id varchar,
    partition_date date,
    label boolean,                  -- true = fraud
    weight double,                  -- sample weight, used by metrics only; null = not known: in no metric
    known_at date,                  -- known from the end of this date
    source varchar,                 -- `source`: the source's label column; `answer`: the table `answers`; else who labelled
    recorded_at timestamptz,        -- when it was written to this table
    kind varchar,                   -- what kind of fraud it is; null where it is not known, and before format 7
);

-- Grain: one row per answer of an analyst to a scored row; append-only. In force is the newest recorded_at of a row.
-- Each one is a label in `labels` as well, with the source `answer`.
create table if not exists answers (
    run_id varchar,                 -- the run whose row was answered
    partition_date date,
    id varchar,
    is_flagged boolean,             -- whether that run had flagged the row
    answer varchar,                 -- fraud | normal
    answered_by varchar,
    note varchar,
    known_at date,                  -- the day of the answer: the label is known from its end
    recorded_at timestamptz,
);

-- Grain: one row per change of the section [alerts], written by the next commit or answer; append-only. In force is
-- the newest written_at; none means that no alert is quiet.
create table if not exists alert_rules (
    quiet_days bigint,              -- dates for which a dismissed entity is not shown again
    quiet_factor double,            -- unless it is so much stranger
    written_at timestamptz,
);

-- Grain: one row per trained version.
create table if not exists models (
    version varchar,
    as_of date,                     -- the version never scores a date before this one
    first_date date,                -- training window, inclusive
    last_date date,
    rows bigint,                    -- training rows, the unconfirmed among them
    dates bigint,                   -- dates of the window that have training rows
    known_frauds bigint,            -- labelled frauds of the window, left out of the training rows
    unconfirmed bigint,             -- flagged rows without a label: used for thresholds and p-values only
    contamination double,           -- (known_frauds + unconfirmed) / all rows of the window, 0 to 1
    architecture varchar,
    score varchar,                  -- error | mae | whitened | reconstruction_probability
    training_hash varchar,          -- hash of the configuration sections that decide what a version learns
    metrics varchar,                -- JSON: epochs, loss, validation_loss, held_out (rows of the p-values), head (is one used; absent without [head])
    gates varchar,                  -- JSON list of sanity gates: name, passed (null: report only), finding
    withheld varchar,               -- why it may not be promoted; null if it may
    artifact_path varchar,          -- below warehouse.files, or a URL of the artifact store
    artifact_sha256 varchar,        -- of the artifact's manifest
    card_path varchar,              -- model card, below warehouse.files
    device varchar,                 -- that it was trained on
    trained_at timestamptz,
    pruned_at timestamptz,          -- when `nightscore prune` deleted its artifact; null while it exists
);

-- Grain: one row per promotion, and one per promotion that a rollback undoes; append-only. A promotion is in
-- force unless a rollback undoes it. Champion of a date is the version of the promotion in force with the
-- newest effective_from up to that date, then the newest promoted_at; see the view `champions`.
create table if not exists promotions (
    effective_from date,            -- first date that it applies to
    promoted_at timestamptz,        -- later than in every earlier row, so that it identifies the row
    version varchar,                -- of a rollback: the version that it restores
    promoted_by varchar,
    why varchar,
    undoes timestamptz,             -- promoted_at of the promotion that this rollback undoes; else null
);

-- Grain: one row per challenger; append-only. A challenger is decided on once, by comparing its scores with
-- the champion's on the same rows of first_date..last_date.
create table if not exists decisions (
    version varchar,                -- the challenger
    champion varchar,               -- the version that it was compared with
    as_of date,                     -- decided after the night of this date, by the labels known at its end
    first_date date,
    last_date date,
    dates bigint,                   -- dates of that window that both have scored
    rows bigint,                    -- rows compared: by labels, those with a known label; by agreement, all
    frauds bigint,                  -- known frauds among them
    rule varchar,                   -- labels: by the metric; agreement: by alerts and scores (too few frauds)
    metric varchar,                 -- such as average_precision; null by agreement, like the next five
    champion_value double,
    challenger_value double,
    difference double,              -- challenger minus champion
    low double,                     -- paired bootstrap interval of the difference
    high double,
    overlap double,                 -- alerts of both / alerts of either, 0 to 1; null by labels
    shift double,                   -- Kolmogorov-Smirnov distance of their p-values, 0 to 1; null by labels
    fit boolean,                    -- whether the challenger may become champion by the rule
    promoted boolean,               -- whether it became champion; false if training.promotion is manual
    why varchar,                    -- the decision in words
    decided_at timestamptz,
);

-- Grain: one row per window, label cut-off, detector, feature set, metric and measurement; the newest counts.
create table if not exists metrics (
    first_date date,
    last_date date,
    as_of date,                     -- labels known at the end of this date
    model_version varchar,          -- several are separated by commas
    detector varchar,               -- nightscore or a baseline; drift: see the view `drift`
    features varchar,               -- all | without label-derived; for drift: a feature's name, or error
    metric varchar,
    value double,
    low double,                     -- 95% interval; null for drift
    high double,
    rows bigint,
    positives bigint,               -- labelled frauds among the rows; null for drift
    measured_at timestamptz,
    population varchar,             -- all | new (see the view `daily`); null for drift, and before format 4
);

-- Grain: one row per creation or migration of these tables; the highest format counts.
create table if not exists warehouse_format (
    format integer,                 -- a newer version of Nightscore migrates the tables when it opens the warehouse
    product_version varchar,        -- the version of Nightscore that created or migrated them
    written_at timestamptz,
);

-- Grain: exactly one row; every publisher updates it, so that two at once conflict on every engine.
create table if not exists publish_lock (
    updated_at timestamptz,
);
