package sqlstore

import (
	"database/sql"

	"github.com/pressly/goose/v3"
)

// dialect is what the store must know of the database it speaks to.
type dialect struct {
	migrations goose.Dialect
	// broken tells which constraint a statement or commit broke.
	broken func(error) constraint
	// again reports whether a transaction that failed so may succeed when it is run
	// once more, because another one was in its way.
	again func(error) bool
	// lost reports whether a statement failed because its connection was lost.
	lost func(error) bool
	// writing is how a transaction that writes is begun, and lock the statement that
	// comes first in an Update, so that there is one at a time. Without a statement the
	// database sees to that itself.
	writing *sql.TxOptions
	lock    string
	// caches says that the driver keeps the statements of a connection prepared.
	caches bool
	// others counts the sessions of others on the database, empty where a lock of the
	// data directory tells.
	others string
	// checkpoint brings the main file of the database up to date; empty: there is none.
	checkpoint string
}

// constraint is a rule of the schema that a statement may break.
type constraint int

const (
	none       constraint = iota // the error is another one
	primaryKey                   // the key is taken
	unique                       // another unique value is taken
	foreignKey                   // what is referred to does not exist
)
