package sqlstore

import "github.com/pressly/goose/v3"

// dialect is what the store must know of the database it speaks to.
type dialect struct {
	migrations goose.Dialect
	// broken tells which constraint a statement or commit broke.
	broken func(error) constraint
}

// constraint is a rule of the schema that a statement may break.
type constraint int

const (
	none       constraint = iota // the error is another one
	primaryKey                   // the key is taken
	unique                       // another unique value is taken
	foreignKey                   // what is referred to does not exist
)
