-- +goose Up
CREATE TABLE config_versions (
    tenant_id  uuid        NOT NULL,
    version    integer     NOT NULL,
    config     jsonb       NOT NULL,             -- rules, phrases and mappings
    why        text        NOT NULL DEFAULT '',  -- in the words of who published it
    changes    text[]      NOT NULL DEFAULT '{}', -- the difference from the version before, in words
    tested     jsonb,                            -- what the backtest said; null: published without one
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT config_versions_pkey PRIMARY KEY (tenant_id, version),
    CONSTRAINT config_versions_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE config_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE config_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY config_versions_own ON config_versions
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE config_versions IS 'The tenant''s rules and mappings as they were published, never changed; the highest is live.';

CREATE TABLE drafts (
    tenant_id uuid    NOT NULL,
    revision  integer NOT NULL, -- the one that stands; locked while it is changed
    CONSTRAINT drafts_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT drafts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE drafts ENABLE ROW LEVEL SECURITY;
ALTER TABLE drafts FORCE ROW LEVEL SECURITY;
CREATE POLICY drafts_own ON drafts
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE drafts IS 'Where the tenant''s draft of rules and mappings stands.';

CREATE TABLE draft_edits (
    tenant_id uuid        NOT NULL,
    revision  integer     NOT NULL, -- 1, 2, … for ever
    base      integer     NOT NULL, -- the version that the draft is a change of
    config    jsonb       NOT NULL, -- after the edit
    open      boolean     NOT NULL, -- differs from what is live
    parent    integer,              -- the revision that undo leads to
    what      text        NOT NULL, -- in words
    edited_by text        NOT NULL,
    edited_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT draft_edits_pkey PRIMARY KEY (tenant_id, revision),
    CONSTRAINT draft_edits_draft_fkey FOREIGN KEY (tenant_id) REFERENCES drafts (tenant_id)
);
ALTER TABLE draft_edits ENABLE ROW LEVEL SECURITY;
ALTER TABLE draft_edits FORCE ROW LEVEL SECURITY;
CREATE POLICY draft_edits_own ON draft_edits
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE draft_edits IS 'The draft after each of the last edits: what undo leads back to, and what a form was made from.';

GRANT SELECT, INSERT ON config_versions TO hookline_app;
GRANT SELECT, INSERT, UPDATE ON drafts TO hookline_app;
GRANT SELECT, INSERT, DELETE ON draft_edits TO hookline_app;

-- +goose Down
DROP TABLE draft_edits, drafts, config_versions;
