package sqlstore

import (
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

// postgresDialect serialises what changes the register by the lock of one row (ADR
// 0014). Each statement of such a transaction sees all that was committed before the
// lock was had, which a snapshot of the whole transaction would not.
func postgresDialect() dialect {
	return dialect{
		migrations: goose.DialectPostgres,
		broken:     brokenInPostgres,
		again:      inTheWay,
		writing:    &sql.TxOptions{Isolation: sql.LevelReadCommitted},
		lock:       `SELECT one FROM store FOR UPDATE`,
		caches:     true,
		others: `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
			AND backend_type = 'client backend' AND application_name <> current_setting('application_name')`,
	}
}

// Codes of PostgreSQL, appendix A of its manual.
const (
	foreignKeyViolation  = "23503"
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

func brokenInPostgres(err error) constraint {
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return none
	case e.Code == foreignKeyViolation:
		return foreignKey
	case e.Code == uniqueViolation && strings.HasSuffix(e.ConstraintName, "_pkey"): // as PostgreSQL names it
		return primaryKey
	case e.Code == uniqueViolation:
		return unique
	default:
		return none
	}
}

// inTheWay reports whether a transaction ended for the sake of another one.
func inTheWay(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{serializationFailure, deadlockDetected}, e.Code)
}
