package registry

// Record is what the store knows of one user, read in one snapshot: the user, and
// in which versions it holds its roles. It holds the password hash: it never
// leaves the process unsealed.
type Record struct {
	User         User
	RoleVersions []uint64 // of User.Roles, in their order
	// Cached says that the record comes from a cache. It is current as far as this
	// node has heard, and so are the roles that it holds in memory: their versions
	// may be later ones.
	Cached bool
}
