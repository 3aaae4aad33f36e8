// Package acl decides who may do what.
//
// The words: a Grant lets its holder read or write what a resource matches, or
// forbids it. A Policy is all grants of one principal, compiled. A question is
// a topic to publish to, a topic to deliver, a filter to subscribe to, or a
// path to call; every answer in the program comes from Policy, and Explain is
// the same walk with its findings written down.
//
// # Rules
//
//   - Nothing is allowed unless a grant allows it, and a deny beats any allow.
//   - A resource is an MQTT filter (MQTT 5, section 4.7), in the http context
//     one that begins with a slash. One grant must cover the whole question:
//     grants are not added up to cover a wider filter.
//   - A wildcard never takes a first level that begins with "$"
//     ([MQTT-4.7.2-1]), in denies as in allows. "a/#" takes "a" too.
//   - A level of an mqtt resource may be ${username}, ${clientid} or
//     ${cert.cn}: exactly one whole level. A value that is empty, holds "/",
//     "+", "#" or NUL, or begins with "$" matches nothing; ${clientid} matches
//     only where the user's client ID list covers the client ID.
//   - The publish prefix is put in front of a topic as it is, and the result is
//     what is judged, whatever the topic began with: "$x" under the prefix
//     "site1/" is the ordinary topic "site1/$x", and without a prefix it needs a
//     grant that spells "$x". No grant can spell "$share", so what a
//     shared filter could not name is not published either.
//   - What is not understood is refused: an invalid allow allows nothing, an
//     invalid deny forbids everything in its context and operation.
//
// # Cost
//
// The grants of one context and operation are one trie, so an answer costs what
// the question has levels, not what the user has permissions. A question visits
// no node twice. In the worst case, grants that differ only in where they have
// a wildcard, it visits every node that matches some beginning of it: less than
// two to the number of its levels, four with both session placeholders, and
// never more than the nodes there are, which is at most the number of grants
// times MaxLevels. Asking neither allocates nor locks nor waits.
package acl
