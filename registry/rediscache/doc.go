// Package rediscache keeps records in Redis, so that a node that does not know
// a user need not ask the database. It answers as a [registry.RecordReader] in
// front of the store and hears of changes as a [registry.RecordCache].
//
// # What stands in Redis
//
//	{mw:<store id>:<epoch>}:u:<MAC of the user id>       the record, or that the user is gone
//	{mw:<store id>:<epoch>}:n:<MAC of the username>      the user id
//	{mw:<store id>:<epoch>}:f:<MAC of the fingerprint>   the user id
//
// A user id has the key of the record beside it in plain, so that a script reads both at
// once: a look-up that Redis answers is one round trip.
//
// All keys carry one hash tag, so a cluster keeps them in one slot. Names are
// keyed MACs and values are sealed whole: without the master key Redis shows
// how many users there are and when they changed, nothing else. In front of
// the sealed body stands a plain stamp, which the sealing covers; a script in
// Redis reads it and replaces a value only by a newer one.
//
// Records and references expire after [Config.TTL]. That nobody has a name is
// never kept.
//
// # Why an answer from Redis can be believed
//
// Redis is not trusted to keep what it was given: whoever can write to it can
// put back any value that ever stood there. Sealing keeps him from making one
// up or moving one elsewhere; it does not tell old from new. Numbers do.
//
// Each value carries the number n of the last change of its user, and a line
// number l with the mark of that change: the record was read when every change up
// to l had been committed, in the history in which change l has that mark.
// Each node remembers, for a while, which user each change touched; what it
// has forgotten is no higher than its floor. It takes a value for an answer
// only if l is not below the floor and n is not below the latest change that
// it remembers for that user. So of every change m of the user that this node
// has heard of: either m <= l, and the record was read after it; or m > l, so
// m is above the floor, is remembered, and n >= m. In both cases the record
// knows of the change. No clock has a part in this; that a value is also
// refused when it is older than the TTL bounds what a mistake could cost.
//
// A store that was put back to an earlier state gives its numbers out again, to
// other changes with other marks. A value is an answer only if this node has heard
// of change l with that very mark, so nothing of a history that was lost counts.
//
// What changed before a node was started it reads from the store when it has
// something to write for the first time. Until then it believes nothing.
//
// Hence whatever is lost on the way to Redis, or refused there, or put back,
// costs a question to the store and gives nobody a right.
//
// # The bus
//
//	{mw:<store id>:<epoch>}:bus   a channel: how far each node is, sealed
//
// A node tells what it has committed and up to which change it enforces all; who hears of
// more than it knows looks at the store. Messages give nobody a right, so losing them
// costs time, and sending them again nothing. They are plain PUBLISH and SUBSCRIBE, which
// a cluster carries between all its servers, so it does not matter which server a node is
// connected to or who has the slot.
//
// # What Redis has to allow
//
// HELLO, AUTH, SELECT, PING, GETRANGE, SET, EVAL and EVALSHA on the keys above, PUBLISH and
// SUBSCRIBE on the channel; in a cluster CLUSTER SLOTS too. Sentinels have to allow AUTH,
// PING, SUBSCRIBE and SENTINEL.
package rediscache
