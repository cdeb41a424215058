-- +goose Up
-- Directory tables: what must be found before a tenant is known. They carry no row-level security and are read by
-- key or hash only. The list is complete: people, sessions, memberships, keys, mails, throttles, sealing_keys.

CREATE TABLE people (
    id                uuid        NOT NULL,
    email             text        NOT NULL, -- lower case, trimmed
    password_hash     text        NOT NULL, -- argon2id, PHC string
    email_verified_at timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT people_pkey PRIMARY KEY (id),
    CONSTRAINT people_email_key UNIQUE (email),
    CONSTRAINT people_email_check CHECK (email = lower(btrim(email)) AND length(email) BETWEEN 3 AND 254)
);
COMMENT ON TABLE people IS 'A person who signs in. One person may be a member of several tenants.';

CREATE TABLE memberships (
    tenant_id  uuid        NOT NULL,
    person_id  uuid        NOT NULL,
    role       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT memberships_pkey PRIMARY KEY (tenant_id, person_id),
    CONSTRAINT memberships_person_fkey FOREIGN KEY (person_id) REFERENCES people (id) ON DELETE CASCADE,
    CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'admin', 'operator', 'viewer'))
);
CREATE INDEX memberships_person_idx ON memberships (person_id);
COMMENT ON TABLE memberships IS 'What one person may do for one tenant.';

CREATE TABLE sessions (
    id_hash    bytea       NOT NULL, -- SHA-256 of the cookie's random id
    person_id  uuid,
    tenant_id  uuid,                 -- the workspace on the page; always one of the person's memberships
    data       jsonb       NOT NULL DEFAULT '{}',
    user_agent text        NOT NULL DEFAULT '',
    address    text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (id_hash),
    CONSTRAINT sessions_person_fkey FOREIGN KEY (person_id) REFERENCES people (id) ON DELETE CASCADE
);
CREATE INDEX sessions_person_idx ON sessions (person_id);
CREATE INDEX sessions_expires_idx ON sessions (expires_at);
COMMENT ON TABLE sessions IS 'One browser that is, or was about to be, signed in.';

CREATE TABLE keys (
    hash       bytea       NOT NULL, -- SHA-256 of the secret text
    kind       text        NOT NULL,
    tenant_id  uuid,
    person_id  uuid,
    subject_id uuid,                 -- source of an intake key, row of an API key
    expires_at timestamptz,
    used_at    timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT keys_pkey PRIMARY KEY (hash),
    CONSTRAINT keys_person_fkey FOREIGN KEY (person_id) REFERENCES people (id) ON DELETE CASCADE,
    CONSTRAINT keys_kind_check CHECK (kind IN ('intake', 'api', 'verify', 'reset', 'invite'))
);
CREATE INDEX keys_subject_idx ON keys (subject_id) WHERE subject_id IS NOT NULL;
COMMENT ON TABLE keys IS 'The hash of a secret that somebody presents, and what it opens.';

CREATE TABLE mails (
    id         uuid        NOT NULL,
    person_id  uuid,
    sealed     bytea       NOT NULL, -- address, subject, text: JSON, sealed
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz,
    CONSTRAINT mails_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE mails IS 'One mail to be sent, or kept for reading when there is no mail server.';

CREATE TABLE throttles (
    key        text        NOT NULL, -- what is limited: hash of an address or account, with its purpose
    arrival_at timestamptz NOT NULL, -- theoretical arrival time (GCRA)
    CONSTRAINT throttles_pkey PRIMARY KEY (key)
);
COMMENT ON TABLE throttles IS 'How soon something may be tried again: one cell of the generic cell rate algorithm.';

CREATE TABLE sealing_keys (
    id       text        NOT NULL, -- as in the key set; the key itself is never here
    since_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sealing_keys_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE sealing_keys IS 'One key that rows may be sealed with: it was the current one, and its rows were not all moved to another.';

GRANT SELECT, INSERT, UPDATE, DELETE ON people, memberships, sessions, keys, mails, throttles, sealing_keys TO hookline_app;

-- +goose Down
DROP TABLE sealing_keys, throttles, mails, keys, sessions, memberships, people;
