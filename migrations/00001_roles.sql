-- +goose Up
-- The program's role. It owns nothing, is no superuser and cannot pass by row-level security; every transaction of
-- the program takes it (see internal/postgres). Roles belong to the whole cluster, so another database may have made
-- it already, or be making it at this moment.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_app') THEN
        BEGIN
            CREATE ROLE hookline_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'hookline_app', 'MEMBER') THEN
        EXECUTE format('GRANT hookline_app TO %I', current_user);
    END IF;
END
$$;
-- +goose StatementEnd

GRANT USAGE ON SCHEMA public TO hookline_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Makes the monthly partitions of every partitioned table, from this month to three months ahead.
-- +goose StatementBegin
CREATE FUNCTION hookline_make_partitions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parent regclass;
    month  timestamptz;
    name   text;
    made   integer := 0;
BEGIN
    FOR parent IN
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'p' AND n.nspname = 'public' ORDER BY c.relname
    LOOP
        FOR ahead IN 0..3 LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
            month := ((month AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
            name := (SELECT relname FROM pg_class WHERE oid = parent) || to_char(month AT TIME ZONE 'UTC', '_YYYYMM');
            IF to_regclass('public.' || quote_ident(name)) IS NULL THEN
                EXECUTE format('CREATE TABLE public.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', name, parent,
                    month, ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
                EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
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
