package connection

import "hookline/internal/seal"

// Sealed are the columns of tokens.
var Sealed = []seal.Column{
	{
		Place: refreshColumn,
		Count: `
			SELECT count(*) FROM connections
			WHERE tenant_id = @tenant AND substring(refresh_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT tenant_id::text, refresh_sealed FROM connections
			WHERE tenant_id = @tenant AND substring(refresh_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE connections SET refresh_sealed = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE connections.tenant_id = @tenant AND connections.tenant_id::text = n.id AND connections.refresh_sealed = n.old`,
	},
	{
		Place: accessColumn,
		Count: `
			SELECT count(*) FROM connections
			WHERE tenant_id = @tenant AND substring(access_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT tenant_id::text, access_sealed FROM connections
			WHERE tenant_id = @tenant AND substring(access_sealed FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE connections SET access_sealed = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE connections.tenant_id = @tenant AND connections.tenant_id::text = n.id AND connections.access_sealed = n.old`,
	},
	{
		Place: pendingColumn,
		Count: `
			SELECT count(*) FROM consents
			WHERE tenant_id = @tenant AND substring(pending FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT encode(state_hash, 'hex'), pending FROM consents
			WHERE tenant_id = @tenant AND substring(pending FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE consents SET pending = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE consents.tenant_id = @tenant AND encode(consents.state_hash, 'hex') = n.id AND consents.pending = n.old`,
	},
}
