-- +goose Up
CREATE TABLE backtests (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL, -- version 7: the newest comes last
    revision   integer     NOT NULL, -- of the draft
    version    integer     NOT NULL, -- of the live configuration that it was compared with; 0: the defaults
    scope      jsonb       NOT NULL, -- which calls: days, or the last so many
    total      integer     NOT NULL DEFAULT 0,
    done       integer     NOT NULL DEFAULT 0,
    state      text        NOT NULL DEFAULT 'running',
    result     jsonb,                -- null until it is done
    asked_by   text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- the process that runs it was alive
    ended_at   timestamptz,
    CONSTRAINT backtests_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT backtests_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT backtests_state_check CHECK (state IN ('running', 'done', 'cancelled', 'failed', 'lost'))
);
CREATE UNIQUE INDEX backtests_running_key ON backtests (tenant_id) WHERE state = 'running';
ALTER TABLE backtests ENABLE ROW LEVEL SECURITY;
ALTER TABLE backtests FORCE ROW LEVEL SECURITY;
CREATE POLICY backtests_own ON backtests
    USING (tenant_id = ANY (string_to_array(NULLIF(current_setting('hookline.tenants', true), ''), ',')::uuid[]));
COMMENT ON TABLE backtests IS 'Stored calls run through a draft and what was live: how far it is, and what would change.';

GRANT SELECT, INSERT, UPDATE, DELETE ON backtests TO hookline_app;

-- +goose Down
DROP TABLE backtests;
