-- +goose Up
-- The program's role. It owns nothing, is no superuser and cannot pass by row-level security; every transaction of
-- the program takes it (see internal/postgres). Roles belong to the whole cluster, so another database may have made
-- it already, or be making it at this moment.
-- +goose StatementBegin
DO $$
DECLARE
    usable text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_app') THEN
        BEGIN
            CREATE ROLE hookline_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role hookline_app is missing and % may not create it', current_user
                    USING HINT = format('As a superuser: CREATE ROLE hookline_app NOLOGIN; GRANT hookline_app TO %I;', current_user);
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'hookline_app', usable) THEN
        BEGIN
            EXECUTE format('GRANT hookline_app TO %I', current_user);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION '% may not take the role hookline_app', current_user
                    USING HINT = format('As a superuser: GRANT hookline_app TO %I;', current_user);
        END;
    END IF;
END
$$;
-- +goose StatementEnd

GRANT USAGE ON SCHEMA public TO hookline_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Makes the monthly partitions of every table that is partitioned by its column "at": last month's, this month's and
-- three ahead. A table made first and attached then takes a lock that readers and writers do not feel; nobody may touch
-- a partition but through its parent, whose policies hold.
-- +goose StatementBegin
CREATE FUNCTION hookline_make_partitions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    parent record;
    month  timestamptz;
    name   text;
    made   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hookline_make_partitions'));
    FOR parent IN
        SELECT c.oid::regclass AS table, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'p' AND n.nspname = 'public' AND pg_get_partkeydef(c.oid) = 'RANGE (at)' ORDER BY c.relname
    LOOP
        FOR ahead IN -1..3 LOOP
            month := date_trunc('month', now()) + make_interval(months => ahead);
            name := parent.relname || to_char(month, '_YYYYMM');
            IF to_regclass('public.' || quote_ident(name)) IS NULL THEN
                EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)', name, parent.table);
                EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
                EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
                EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent.table, name,
                    month, month + interval '1 month');
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION hookline_make_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hookline_make_partitions() TO hookline_app;

-- +goose Down
DROP FUNCTION hookline_make_partitions();
