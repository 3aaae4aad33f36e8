package sqlstore

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

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
		lost:       connectionLost,
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
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
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

// connectionLost reports whether a connection ended that was open. One that could not be
// opened is another matter: there is no server.
func connectionLost(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == adminShutdown || e.Code == crashShutdown
	}
	return pgconn.SafeToRetry(err) || slices.ContainsFunc([]error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE,
	}, func(end error) bool { return errors.Is(err, end) })
}
