// Package route binds handlers to paths, for each API in its own dialect, by way
// of huma, which decodes, validates and describes.
//
// One registry has several APIs. What sets them apart beside their routes is a
// [Dialect]: what the logs call it, which paths are its own, how it shows an
// error, and which document describes it. A [Router] has a [Table] for each:
//
//	Router ─┬─ Table of v1.Dialect     /api/…, /pki/…, /healthz, …; "/": all that nobody else claims
//	        └─ Table of other.Dialect  its prefixes, and what is below them
//
// A request speaks the dialect of the longest prefix of its path until a route
// takes it, and that of the route's table from there. Whatever fails, wherever,
// fails by request.Fail, which has the dialect answer:
//
//	request.Log       a panic                          500
//	access.Clean      the path, the query              400
//	adminapi          a page of another origin         403
//	Router            no such path, no such method     404, 405
//	Table             ── the dialect of the table from here ──
//	access.Protect    no credential, no permission     401, 403
//	parameters        the query                        400
//	buffered          the body, its type, its size     400, 408, 413, 415
//	huma              a field                          400
//	handler           what the registry says
//
// The statuses are those of a *wire.ClientError; a dialect may show another.
//
// # A new dialect
//
// It is one package beside v1, with
//
//   - dialect.go: Dialect(), which returns a *[Dialect] with its document
//   - errors.go: the function in [Dialect].Errors, one table from the codes of
//     package registry to what its clients see, pinned by a golden file
//   - routes.go: Mount(*[Table]), the list of its routes with what each needs:
//     [Add] for JSON, [AddRaw] for other media types, [Table.Handle] for what no
//     document has
//
// and one line in adminapi.go:
//
//	kura.New(cfg.Service).Mount(router.Table(kura.Dialect()))
//
// Its routes then stand in adminapi/testdata/routes.golden (make golden). Two
// dialects in one process, or two whole routers, share nothing but the words in
// which huma says what is wrong with a field.
package route
