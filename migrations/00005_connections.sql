-- +goose Up
CREATE TABLE connections (
    tenant_id         uuid        NOT NULL,
    status            text        NOT NULL, -- connected, needs_reconnect, failed, disconnected
    reason            text        NOT NULL DEFAULT '', -- in words, when it is not connected
    data_centre       text        NOT NULL DEFAULT '', -- row key of the fixed table: us, eu, in, …
    org_id            text        NOT NULL DEFAULT '',
    org_name          text        NOT NULL DEFAULT '',
    edition           text        NOT NULL DEFAULT '', -- paid_type as Zoho tells it
    currency          text        NOT NULL DEFAULT '',
    org_time_zone     text        NOT NULL DEFAULT '',
    org_country       text        NOT NULL DEFAULT '',
    org_domain        text        NOT NULL DEFAULT '', -- for links into the CRM
    org_users         integer     NOT NULL DEFAULT 0,  -- licences bought: they add to the day's credits
    zoho_user         text        NOT NULL DEFAULT '', -- who consented, in Zoho
    connected_by      text        NOT NULL DEFAULT '', -- who consented, in Hookline
    connected_at      timestamptz,
    scopes            text[]      NOT NULL DEFAULT '{}',
    refresh_sealed    bytea,
    access_sealed     bytea,
    access_expires_at timestamptz,
    refresh_until     timestamptz,          -- lease of the one refresh in flight
    refresh_fence     bigint      NOT NULL DEFAULT 0,
    refresh_after     timestamptz,          -- Zoho Accounts asked to wait, or is away: no refresh before
    refresh_failures  integer     NOT NULL DEFAULT 0, -- in a row
    probe             jsonb       NOT NULL DEFAULT '[]', -- per module: what may be read, created, updated
    probed_at         timestamptz,
    abilities         jsonb       NOT NULL DEFAULT '[]', -- what the edition has, found by asking with the probe
    marker_refused    jsonb       NOT NULL DEFAULT '{}', -- per module: why Zoho would not make the field that prevents doubles
    last_success_at   timestamptz,
    credits_left      integer,     -- of the organisation's day, as Zoho said it when more than half were used
    credits_left_at   timestamptz,
    CONSTRAINT connections_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT connections_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT connections_status_check CHECK (status IN ('connected', 'needs_reconnect', 'failed', 'disconnected'))
);
ALTER TABLE connections ENABLE ROW LEVEL SECURITY;
ALTER TABLE connections FORCE ROW LEVEL SECURITY;
CREATE POLICY connections_own ON connections
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE connections IS 'A tenant''s link to its Zoho organisation.';

CREATE TABLE consents (
    tenant_id    uuid        NOT NULL,
    state_hash   bytea       NOT NULL, -- SHA-256 of the state parameter
    session_hash bytea       NOT NULL, -- the browser session that began it
    person_id    uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    used_at      timestamptz,
    adds_marker  boolean     NOT NULL DEFAULT false, -- it also asked to add the field that prevents doubles
    code_hash    bytea,                -- SHA-256 of the grant code that it was used with
    outcome      text        NOT NULL DEFAULT '', -- what came of it; empty while it is being exchanged
    reason       text        NOT NULL DEFAULT '', -- in words, when it failed
    pending      bytea,                -- sealed answer of a consent for another organisation, until it is confirmed
    CONSTRAINT consents_pkey PRIMARY KEY (tenant_id, state_hash),
    CONSTRAINT consents_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT consents_outcome_check CHECK (outcome IN ('', 'connected', 'other_org', 'cancelled', 'failed'))
);
ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY consents_own ON consents
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE consents IS 'A consent that was begun: its state may be used once, by the session that began it.';

CREATE TABLE credits (
    tenant_id uuid        NOT NULL,
    org_id    text        NOT NULL,
    hour      timestamptz NOT NULL,
    used      integer     NOT NULL DEFAULT 0,
    CONSTRAINT credits_pkey PRIMARY KEY (tenant_id, org_id, hour),
    CONSTRAINT credits_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE credits ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits FORCE ROW LEVEL SECURITY;
CREATE POLICY credits_own ON credits
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE credits IS 'Zoho API credits that Hookline used for a tenant in one hour.';

CREATE TABLE zoho_modules (
    tenant_id    uuid        NOT NULL,
    org_id       text        NOT NULL,
    module       text        NOT NULL, -- API name
    metadata     jsonb       NOT NULL, -- fields, layouts' required fields, pipelines: as internal/zoho reads them
    refused      text        NOT NULL DEFAULT '', -- the class of Zoho's refusal where the module is closed to us; metadata is of before
    fetched_at   timestamptz NOT NULL DEFAULT now(),
    forgotten_at timestamptz NOT NULL DEFAULT '-infinity', -- when a refused call last made Zoho be asked anew
    CONSTRAINT zoho_modules_pkey PRIMARY KEY (tenant_id, org_id, module),
    CONSTRAINT zoho_modules_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE zoho_modules ENABLE ROW LEVEL SECURITY;
ALTER TABLE zoho_modules FORCE ROW LEVEL SECURITY;
CREATE POLICY zoho_modules_own ON zoho_modules
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE zoho_modules IS 'What Zoho said of one module of the tenant''s organisation when last asked.';

GRANT SELECT, INSERT, UPDATE ON connections, credits TO hookline_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON consents, zoho_modules TO hookline_app;

-- +goose Down
DROP TABLE zoho_modules, credits, consents, connections;
