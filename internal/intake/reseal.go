package intake

import "hookline/internal/seal"

// Sealed are the columns of the keys and secrets of sources, and of raw events.
var Sealed = []seal.Column{
	{
		Place: "sources.key_sealed",
		Count: `
			SELECT count(*) FROM sources
			WHERE tenant_id = @tenant AND substring(key_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, key_sealed FROM sources
			WHERE tenant_id = @tenant AND substring(key_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE sources SET key_sealed = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE sources.tenant_id = @tenant AND sources.id::text = n.id AND sources.key_sealed = n.old`,
	},
	{
		Place: "sources.secrets_sealed",
		Count: `
			SELECT count(*) FROM sources
			WHERE tenant_id = @tenant AND substring(secrets_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, secrets_sealed FROM sources
			WHERE tenant_id = @tenant AND substring(secrets_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE sources SET secrets_sealed = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE sources.tenant_id = @tenant AND sources.id::text = n.id AND sources.secrets_sealed = n.old`,
	},
	{
		Place: rawPlace,
		Count: `
			SELECT count(*) FROM events
			WHERE tenant_id = @tenant AND substring(raw FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, raw FROM events
			WHERE tenant_id = @tenant AND substring(raw FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE events SET raw = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE events.tenant_id = @tenant AND events.id::text = n.id AND events.raw = n.old`,
	},
}
