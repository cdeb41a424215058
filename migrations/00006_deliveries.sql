-- +goose Up
CREATE TABLE callers (
    tenant_id   uuid        NOT NULL,
    org_id      text        NOT NULL,
    number      text        NOT NULL, -- E.164
    module      text        NOT NULL, -- Leads or Contacts
    record_id   text        NOT NULL,
    account_id  text        NOT NULL DEFAULT '',
    name        text        NOT NULL DEFAULT '',
    verified_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT callers_pkey PRIMARY KEY (tenant_id, org_id, number),
    CONSTRAINT callers_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT callers_module_check CHECK (module IN ('Leads', 'Contacts'))
);
CREATE INDEX callers_record_idx ON callers (tenant_id, record_id);
ALTER TABLE callers ENABLE ROW LEVEL SECURITY;
ALTER TABLE callers FORCE ROW LEVEL SECURITY;
CREATE POLICY callers_own ON callers
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE callers IS 'Number memory: the record that a phone number led to when last looked.';

CREATE TABLE decisions (
    tenant_id uuid        NOT NULL,
    call_id   uuid        NOT NULL,
    number    integer     NOT NULL, -- 1, 2, … a replay may decide afresh
    at        timestamptz NOT NULL DEFAULT now(),
    version   integer     NOT NULL, -- of the configuration
    rule      text        NOT NULL,
    facts     jsonb       NOT NULL, -- the match, hours, repeat count and revision, as they were seen
    decision  jsonb       NOT NULL, -- actions and trace
    CONSTRAINT decisions_pkey PRIMARY KEY (tenant_id, call_id, number),
    CONSTRAINT decisions_call_fkey FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
);
ALTER TABLE decisions ENABLE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;
CREATE POLICY decisions_own ON decisions
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE decisions IS 'What should happen with a call, by which rule, and why.';

CREATE TABLE deliveries (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    call_id     uuid        NOT NULL,
    slot        text        NOT NULL, -- lead, call, deal, deal.stage, task.1, note.2, …
    revision    integer     NOT NULL, -- 0 creates; later ones update with what that revision of the call knows
    position    integer     NOT NULL, -- order within the call
    decision    integer     NOT NULL, -- decisions.number
    version     integer     NOT NULL, -- of the configuration whose mapping made the record
    module      text        NOT NULL, -- Zoho module
    action      text        NOT NULL, -- create, update
    ref         text        NOT NULL, -- this delivery's marker in Zoho
    payload     bytea,                -- sealed JSON of the record as it is to be written; null until rendered
    state       text        NOT NULL DEFAULT 'planned',
    zoho_id     text        NOT NULL DEFAULT '',
    cause       jsonb,                -- why it was refused: code, field, sentence
    intent_at   timestamptz,          -- committed before the request is sent
    looks       integer     NOT NULL DEFAULT 0, -- read-backs that found nothing since the intent
    lost       integer     NOT NULL DEFAULT 0, -- times that it was sent, not answered, and not there
    looked_at   timestamptz,
    done_at     timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deliveries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT deliveries_slot_key UNIQUE (tenant_id, call_id, slot, revision),
    CONSTRAINT deliveries_call_fkey FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id),
    CONSTRAINT deliveries_state_check CHECK (state IN ('planned', 'sending', 'unknown', 'done', 'refused', 'skipped'))
);
CREATE INDEX deliveries_zoho_idx ON deliveries (tenant_id, zoho_id) WHERE zoho_id <> '';
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY deliveries_own ON deliveries
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE deliveries IS 'One Zoho record to be written for a call: intent, marker, state and Zoho''s id.';

CREATE TABLE attempts (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    call_id     uuid,
    purpose     text        NOT NULL, -- search, write, read back, …
    method      text        NOT NULL,
    path        text        NOT NULL,
    status      integer     NOT NULL, -- HTTP status; 0: no answer
    outcome     text        NOT NULL, -- ok, refused, unknown, later, not sent
    duration_ms integer     NOT NULL,
    credits     integer     NOT NULL DEFAULT 0, -- of a request that served several calls, they stand with the first
    calls       integer     NOT NULL DEFAULT 1, -- how many the request served: each has its own part of it
    exchange    bytea,                -- sealed JSON: request and answer bodies, scrubbed of secrets; null once its retention is over
    CONSTRAINT attempts_pkey PRIMARY KEY (tenant_id, id, at)
) PARTITION BY RANGE (at);
CREATE INDEX attempts_call_idx ON attempts (tenant_id, call_id, at);
CREATE INDEX attempts_exchange_idx ON attempts (tenant_id, at) WHERE exchange IS NOT NULL; -- whose retention is over
ALTER TABLE attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY attempts_own ON attempts
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE attempts IS 'One HTTP exchange with Zoho.';

CREATE TABLE attempt_deliveries (
    tenant_id   uuid NOT NULL,
    attempt_id  uuid NOT NULL,
    delivery_id uuid NOT NULL,
    CONSTRAINT attempt_deliveries_pkey PRIMARY KEY (tenant_id, delivery_id, attempt_id)
);
ALTER TABLE attempt_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempt_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY attempt_deliveries_own ON attempt_deliveries
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE attempt_deliveries IS 'Which deliveries a request to Zoho carried.';

GRANT SELECT, INSERT, UPDATE, DELETE ON callers, deliveries, attempts, attempt_deliveries TO hookline_app;
GRANT SELECT, INSERT ON decisions TO hookline_app;

-- Callers of whom a record may or may not be in Zoho.
CREATE INDEX calls_unsettled_idx ON calls (tenant_id, caller_key) WHERE status = 'needs_attention' AND cause->>'code' = 'UNSETTLED';
CREATE INDEX calls_begun_idx ON calls (tenant_id, caller_key) WHERE status = 'delivering' AND done_revision = 0;

-- +goose Down
DROP INDEX calls_unsettled_idx;
DROP TABLE attempt_deliveries, attempts, deliveries, decisions, callers;
