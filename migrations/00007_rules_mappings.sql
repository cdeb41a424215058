-- +goose Up
CREATE TABLE rule_versions (
    tenant_id  uuid        NOT NULL,
    version    integer     NOT NULL,
    rules      jsonb       NOT NULL,
    note       text        NOT NULL DEFAULT '', -- the change in words
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rule_versions_pkey PRIMARY KEY (tenant_id, version),
    CONSTRAINT rule_versions_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE rule_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE rule_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY rule_versions_own ON rule_versions
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE rule_versions IS 'The tenant''s ordered rules, as they stood from one change to the next; the highest is live.';

CREATE TABLE mapping_versions (
    tenant_id  uuid        NOT NULL,
    version    integer     NOT NULL,
    mappings   jsonb       NOT NULL,
    note       text        NOT NULL DEFAULT '',
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mapping_versions_pkey PRIMARY KEY (tenant_id, version),
    CONSTRAINT mapping_versions_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE mapping_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE mapping_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY mapping_versions_own ON mapping_versions
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE mapping_versions IS 'The tenant''s field mappings, as they stood from one change to the next; the highest is live.';

GRANT SELECT, INSERT ON rule_versions, mapping_versions TO hookline_app;

-- +goose Down
DROP TABLE mapping_versions, rule_versions;
