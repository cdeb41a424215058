-- +goose Up
CREATE TABLE sources (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    provider       text        NOT NULL, -- native, nextphone, retell
    name           text        NOT NULL,
    key_sealed     bytea       NOT NULL, -- the intake key, to show its URL again; its hash stands in keys
    secrets_sealed bytea       NOT NULL, -- JSON array of at most two live secrets, newest first
    settings       jsonb       NOT NULL DEFAULT '{}', -- the provider's own choices: which checks must hold, field list
    created_at     timestamptz NOT NULL DEFAULT now(),
    rotated_at     timestamptz,
    deleted_at     timestamptz,
    CONSTRAINT sources_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sources_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE sources FORCE ROW LEVEL SECURITY;
CREATE POLICY sources_own ON sources
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE sources IS 'One endpoint that a phone provider of a tenant posts to.';

CREATE TABLE calls (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL, -- derived from source and the provider's call id: the same call is the same row
    source_id        uuid        NOT NULL,
    provider_call_id text        NOT NULL,
    received_at      timestamptz NOT NULL, -- of the first event; the log's order
    -- Everything below is written by the lane, from the call's folded events. Intake only inserts the row.
    revision         integer     NOT NULL DEFAULT 0, -- how many events the fold below has seen
    done_revision    integer     NOT NULL DEFAULT 0, -- the revision that was last delivered whole
    noted            integer     NOT NULL DEFAULT 0, -- notes of news that the lane has taken: whether some came while the call was in hand
    status           text        NOT NULL DEFAULT 'received',
    cause            jsonb,                          -- why it needs attention: code, sentence, module, field, link
    caller_key       text        NOT NULL DEFAULT '', -- E.164 of the customer; empty when withheld: no order, no memory
    next_at          timestamptz,                    -- not before: a retry, late analysis, the second look of a read-back
    tries            integer     NOT NULL DEFAULT 0, -- failures of this call in a row
    config           text        NOT NULL DEFAULT 'current', -- the rules and mappings a replay uses: current or original; none: a person took care of the call
    call             jsonb       NOT NULL DEFAULT '{}', -- the folded call, transcript included
    name             text        NOT NULL DEFAULT '', -- caller's name as the log shows it
    number           text        NOT NULL DEFAULT '', -- the customer's, as the log shows it
    direction        text        NOT NULL DEFAULT '',
    intent           text        NOT NULL DEFAULT '',
    seconds          integer     NOT NULL DEFAULT 0,  -- of talk
    outcome          text        NOT NULL DEFAULT '', -- in words: "Lead created"
    rule             text        NOT NULL DEFAULT '', -- name of the rule that fired
    zoho_ids         text[]      NOT NULL DEFAULT '{}',
    is_test          boolean     NOT NULL DEFAULT false,
    started_at       timestamptz,
    delivered_at     timestamptz,
    changed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT calls_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT calls_source_fkey FOREIGN KEY (tenant_id, source_id) REFERENCES sources (tenant_id, id),
    CONSTRAINT calls_status_check CHECK (status IN ('received', 'delivering', 'delivered', 'needs_attention', 'ignored'))
);
CREATE INDEX calls_log_idx ON calls (tenant_id, received_at DESC, id DESC);
CREATE INDEX calls_open_idx ON calls (tenant_id, received_at, id) WHERE status IN ('received', 'delivering');
CREATE INDEX calls_aside_idx ON calls (tenant_id, status, received_at DESC, id DESC) WHERE status IN ('needs_attention', 'ignored');
CREATE INDEX calls_rule_idx ON calls (tenant_id, rule, received_at DESC, id DESC) WHERE rule <> '';
CREATE INDEX calls_caller_idx ON calls (tenant_id, caller_key, received_at DESC) WHERE caller_key <> '';
CREATE INDEX calls_source_idx ON calls (tenant_id, source_id, received_at DESC);
CREATE INDEX calls_changed_idx ON calls (tenant_id, changed_at, id);
ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE calls FORCE ROW LEVEL SECURITY;
CREATE POLICY calls_own ON calls
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
-- A call may be deleted only where it stood in for an event that could not be read, and now can.
CREATE POLICY calls_stand_ins ON calls AS RESTRICTIVE FOR DELETE USING (provider_call_id LIKE 'event:%');
COMMENT ON TABLE calls IS 'One phone call, as its events together tell it, and how far it has come.';

CREATE TABLE stand_ins (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL, -- of the call that stood in
    call_id   uuid NOT NULL, -- of the call that the event tells of
    CONSTRAINT stand_ins_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT stand_ins_call_fkey FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
);
ALTER TABLE stand_ins ENABLE ROW LEVEL SECURITY;
ALTER TABLE stand_ins FORCE ROW LEVEL SECURITY;
CREATE POLICY stand_ins_own ON stand_ins
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE stand_ins IS 'The id under which an event was kept that could not be read, and the call that a later reading brought it to.';

CREATE TABLE call_words (
    tenant_id   uuid        NOT NULL,
    word        text        NOT NULL COLLATE "C", -- lower case; sorted by bytes, so that a beginning is a range
    received_at timestamptz NOT NULL,
    call_id     uuid        NOT NULL,
    CONSTRAINT call_words_pkey PRIMARY KEY (tenant_id, word, received_at, call_id),
    CONSTRAINT call_words_call_fkey FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE call_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_words FORCE ROW LEVEL SECURITY;
CREATE POLICY call_words_own ON call_words
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE call_words IS 'A word of a caller''s name, to find the call by: row-level security lets no index be searched by a part of a text.';

CREATE TABLE seen (
    tenant_id uuid NOT NULL,
    event_id  uuid NOT NULL, -- derived from source and the provider's event id
    call_id   uuid NOT NULL,
    CONSTRAINT seen_pkey PRIMARY KEY (tenant_id, event_id)
);
ALTER TABLE seen ENABLE ROW LEVEL SECURITY;
ALTER TABLE seen FORCE ROW LEVEL SECURITY;
CREATE POLICY seen_own ON seen
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE seen IS 'An event that was stored once: kept for ever, so that a repeat is known for ever.';

CREATE TABLE events (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(), -- received
    call_id    uuid        NOT NULL,
    source_id  uuid        NOT NULL,
    kind       text        NOT NULL, -- completed, updated, unreadable
    normalised json        NOT NULL, -- what this event says of the call; read whole, never searched
    raw        bytea,                -- body as received, compressed, sealed; null once its retention is over
    headers    json        NOT NULL DEFAULT '{}', -- content type and the like; never a signature or a token
    CONSTRAINT events_pkey PRIMARY KEY (tenant_id, id, at)
) PARTITION BY RANGE (at);
ALTER TABLE events ALTER raw SET STORAGE EXTERNAL; -- sealed bytes do not shrink: PostgreSQL need not try
CREATE INDEX events_call_idx ON events (tenant_id, call_id);
CREATE INDEX events_raw_idx ON events (tenant_id, at) WHERE raw IS NOT NULL; -- whose retention is over
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY events_own ON events
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE events IS 'One webhook as received, and what it says of a call.';

CREATE TABLE lanes (
    tenant_id   uuid        NOT NULL,
    owner       uuid,                 -- the worker that holds the lane
    lease_until timestamptz,
    fence       bigint      NOT NULL DEFAULT 0,
    retry_at    timestamptz,          -- next due time; null: only a wake brings the lane back
    hold        text        NOT NULL DEFAULT '', -- why no call of this lane moves: unconnected, reconnect, limit, outage
    hold_detail text        NOT NULL DEFAULT '', -- in words for the pages
    hold_since  timestamptz,          -- when the hold began
    hold_until  timestamptz,          -- no wake brings the lane back before
    faults      integer     NOT NULL DEFAULT 0, -- of the lane, in a row: how long the next hold lasts
    CONSTRAINT lanes_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT lanes_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX lanes_retry_idx ON lanes (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX lanes_lease_idx ON lanes (lease_until) WHERE lease_until IS NOT NULL;
ALTER TABLE lanes ENABLE ROW LEVEL SECURITY;
ALTER TABLE lanes FORCE ROW LEVEL SECURITY;
CREATE POLICY lanes_own ON lanes
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
CREATE POLICY lanes_claim ON lanes USING (current_setting('hookline.claim', true) = 'on');
COMMENT ON TABLE lanes IS 'A tenant''s line of work: one worker at a time, by lease and fence.';

CREATE TABLE wakes (
    tenant_id uuid        NOT NULL,
    id        uuid        NOT NULL, -- version 7: the oldest comes first
    at        timestamptz NOT NULL DEFAULT now(),
    call_id   uuid,                 -- a call that stood already and has news; null: the work is found by its status
    CONSTRAINT wakes_pkey PRIMARY KEY (tenant_id, id)
);
ALTER TABLE wakes ENABLE ROW LEVEL SECURITY;
ALTER TABLE wakes FORCE ROW LEVEL SECURITY;
CREATE POLICY wakes_own ON wakes
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
CREATE POLICY wakes_claim ON wakes USING (current_setting('hookline.claim', true) = 'on');
COMMENT ON TABLE wakes IS 'A note that a lane has new work; inserted with the work, deleted by the lane before it looks for work.';

GRANT SELECT, INSERT, UPDATE ON sources, calls TO hookline_app;
GRANT DELETE ON calls TO hookline_app;
GRANT SELECT, INSERT ON seen, call_words, stand_ins TO hookline_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON events, lanes, wakes TO hookline_app;

-- +goose Down
DROP TABLE wakes, lanes, events, seen, call_words, stand_ins, calls, sources;
