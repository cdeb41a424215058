package delivery

import "hookline/internal/seal"

// Sealed are the columns of records to be written and of exchanges with Zoho.
var Sealed = []seal.Column{
	{
		Place: payloadPlace,
		Count: `
			SELECT count(*) FROM deliveries
			WHERE tenant_id = @tenant AND substring(payload FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, payload FROM deliveries
			WHERE tenant_id = @tenant AND substring(payload FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE deliveries SET payload = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE deliveries.tenant_id = @tenant AND deliveries.id::text = n.id AND deliveries.payload = n.old`,
	},
	{
		Place: exchangePlace,
		Count: `
			SELECT count(*) FROM attempts
			WHERE tenant_id = @tenant AND substring(exchange FROM 1 FOR length(@prefix::bytea)) = @prefix`,
		Find: `
			SELECT id::text, exchange FROM attempts
			WHERE tenant_id = @tenant AND substring(exchange FROM 1 FOR length(@prefix::bytea)) = @prefix LIMIT @most`,
		Put: `
			UPDATE attempts SET exchange = n.sealed FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
			WHERE attempts.tenant_id = @tenant AND attempts.id::text = n.id AND attempts.exchange = n.old`,
	},
}
