-- +goose Up
CREATE TABLE tenants (
    id            uuid        NOT NULL,
    name          text        NOT NULL,
    country       text        NOT NULL, -- ISO 3166-1 alpha-2: completes national phone numbers
    time_zone     text        NOT NULL, -- IANA name
    hours         jsonb       NOT NULL DEFAULT '[]',
    holidays      jsonb       NOT NULL DEFAULT '[]', -- days and their names: closed, whatever the hours say
    trial_ends_at timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_pkey PRIMARY KEY (id),
    CONSTRAINT tenants_name_check CHECK (length(btrim(name)) BETWEEN 1 AND 200),
    CONSTRAINT tenants_country_check CHECK (country ~ '^[A-Z]{2}$')
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants_own ON tenants
    USING (id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE tenants IS 'A business that uses Hookline.';

CREATE TABLE api_keys (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL,
    name       text        NOT NULL,
    role       text        NOT NULL,
    prefix     text        NOT NULL, -- first characters, to tell keys apart on the page
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_keys_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'operator', 'viewer'))
);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY api_keys_own ON api_keys
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE api_keys IS 'A key that a program presents to the JSON API; its hash stands in keys.';

CREATE TABLE audit (
    tenant_id uuid        NOT NULL,
    id        uuid        NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text        NOT NULL, -- e-mail of the person, name of the key, or "hookline"
    action    text        NOT NULL, -- such as rule.saved, zoho.connected
    target    text        NOT NULL DEFAULT '',
    detail    jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT audit_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT audit_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX audit_at_idx ON audit (tenant_id, at DESC, id DESC);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_own ON audit
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE audit IS 'Who changed what and when. Rows are only ever added.';

GRANT SELECT, INSERT, UPDATE ON tenants, api_keys TO hookline_app;
GRANT SELECT, INSERT ON audit TO hookline_app;

-- +goose Down
DROP TABLE audit, api_keys, tenants;
