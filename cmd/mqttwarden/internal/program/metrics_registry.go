package program

import (
	"context"
	"math"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// poolPart are the metrics of the pool that hashes passwords.
func poolPart(snapshot func() secret.Stats) part[secret.Stats] {
	return part[secret.Stats]{snapshot, []series[secret.Stats]{
		gauge("mqttwarden_hash_workers", "Passwords that may be hashed at once.", func(s secret.Stats) float64 { return float64(s.Workers) }),
		gauge("mqttwarden_hash_running", "Passwords being hashed.", func(s secret.Stats) float64 { return float64(s.Running) }),
		gauge("mqttwarden_hash_waiting", "Sign-ins waiting for a hash.", func(s secret.Stats) float64 { return float64(s.Waiting) }),
		counter("mqttwarden_hash_done_total", "Passwords hashed.", func(s secret.Stats) float64 { return float64(s.Done) }),
		counter("mqttwarden_hash_refused_total", "Sign-ins refused because too many waited.", func(s secret.Stats) float64 { return float64(s.Refused) }),
		counter("mqttwarden_hash_displaced_total", "Sign-ins among them that gave up their seat to another address.", func(s secret.Stats) float64 { return float64(s.Displaced) }),
	}}
}

func principalsPart(snapshot func() registry.PrincipalStats) part[registry.PrincipalStats] {
	return part[registry.PrincipalStats]{snapshot, []series[registry.PrincipalStats]{
		gauge("mqttwarden_principals", "Users held in memory.", func(s registry.PrincipalStats) float64 { return float64(s.Users) }),
		gauge("mqttwarden_principals_roles", "Roles held in memory, each once for all who have it.", func(s registry.PrincipalStats) float64 { return float64(s.Roles) }),
		gauge("mqttwarden_principals_bytes", "What the users take that are kept in memory, with their roles.", func(s registry.PrincipalStats) float64 { return float64(s.Bytes) }),
		counter("mqttwarden_principals_hits_total", "Look-ups that memory answered.", func(s registry.PrincipalStats) float64 { return float64(s.Hits) }),
		counter("mqttwarden_principals_misses_total", "Look-ups that memory did not answer.", func(s registry.PrincipalStats) float64 { return float64(s.Misses) }),
	}}
}

// storeFigures tell of the store and of what is enforced of it.
type storeFigures struct {
	sqlstore.Stats
	expiring float64 // certificates; not a number when it is not known
	enforced uint64
	refused  uint64         // registrations
	logins   uint64         // that came too often
	invalid  map[string]int // certificates outside their validity, by use
	reserved int            // client IDs
	trimmed  uint64         // audit entries
}

func (a *app) storeFigures() storeFigures {
	return storeFigures{
		expiring: a.expiring(), enforced: a.register.Follower.Enforced(),
		refused: a.register.Enrolment.Refused(), logins: a.register.Service.RefusedLogins(), Stats: a.register.Store.Stats(),
		invalid:  a.validity.count(a.certificateUses()),
		reserved: a.register.Reserved.Len(),
		trimmed:  a.auditGone.Load(),
	}
}

func storePart(snapshot func() storeFigures) part[storeFigures] {
	return part[storeFigures]{snapshot, []series[storeFigures]{
		gauge("mqttwarden_reserved_client_ids", "Client IDs that are one user's alone, held in memory.", func(s storeFigures) float64 { return float64(s.reserved) }),
		gauge("mqttwarden_certificates_expiring", "Client certificates issued here that expire within 30 days and were not renewed.", func(s storeFigures) float64 { return s.expiring }),
		byUse("mqttwarden_certificates_invalid", "Certificates of this server, and CAs of clients, that have expired or are not valid yet, by what they are for.", func(s storeFigures) map[string]int { return s.invalid }),
		gauge("mqttwarden_change_enforced", "Number of the last change that is enforced here.", func(s storeFigures) float64 { return float64(s.enforced) }),
		counter("mqttwarden_registrations_refused_total", "Registrations refused because too many waited, in all or from one address.", func(s storeFigures) float64 { return float64(s.refused) }),
		counter("mqttwarden_audit_trimmed_total", "Audit entries that were removed because they were older than audit-keep.", func(s storeFigures) float64 { return float64(s.trimmed) }),
		counter("mqttwarden_logins_refused_total", "Log-ins and log-outs over HTTP that came too often, of one user or from one address.", func(s storeFigures) float64 { return float64(s.logins) }),
		counter("mqttwarden_store_writes_failed_total", "Writes to the store that it could not take (full disk, locked), those of /readyz included.", func(s storeFigures) float64 { return float64(s.FailedWrites) }),
		counter("mqttwarden_store_retries_total", "Transactions on the store that were run once more, since others were in their way.", func(s storeFigures) float64 { return float64(s.Retries) }),
		gauge("mqttwarden_store_connections", "Connections to the store that there may be.", func(s storeFigures) float64 { return float64(s.Connections) }),
		gauge("mqttwarden_store_connections_used", "Connections to the store in use.", func(s storeFigures) float64 { return float64(s.InUse) }),
		counter("mqttwarden_store_connection_waits_total", "How often a connection to the store was waited for.", func(s storeFigures) float64 { return float64(s.Waits) }),
	}}
}

// expiring counts the certificates whose holders should have renewed.
func (a *app) expiring() float64 {
	const soon = 30 * 24 * time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := a.register.PKI.ExpiringBefore(ctx, time.Now().Add(soon))
	if err != nil {
		return math.NaN() // an alarm should see that it is not known
	}
	return float64(n)
}

// cachePart are the metrics of the cache in Redis.
func cachePart(snapshot func() rediscache.Stats) part[rediscache.Stats] {
	return part[rediscache.Stats]{snapshot, []series[rediscache.Stats]{
		counter("mqttwarden_cache_hits_total", "Look-ups that Redis answered.", func(s rediscache.Stats) float64 { return float64(s.Hits) }),
		counter("mqttwarden_cache_misses_total", "Look-ups that Redis did not answer or was not believed.", func(s rediscache.Stats) float64 {
			var n uint64
			for _, m := range s.Misses {
				n += m
			}
			return float64(n)
		}),
		gauge("mqttwarden_cache_down", "1 while Redis does not answer.", func(s rediscache.Stats) float64 { return oneIf(s.Down) }),
	}}
}
