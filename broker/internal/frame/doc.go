// Package frame judges MQTT control packets before the broker sees them.
//
// It speaks MQTT 3.1 (level 3, "MQIsdp"), 3.1.1 (level 4) and 5 (level 5) and
// is pure: bytes in, verdict out. Who uses it reads a header with ParseHeader,
// asks Checker.CheckHeader whether the packet may come at all, before reserving
// memory for its body, then reads the body, asks Checker.Check, and hands on
// what Checker.Normalize returns. Exchange adds what one packet alone cannot
// tell: whether an acknowledgement fits a PUBLISH that went the other way, and
// how many messages are outstanding in each direction.
//
//	h, n, err := frame.ParseHeader(buf) // ErrIncomplete: read more
//	err = checker.CheckHeader(h)        // too large, out of order, wrong flags
//	… read h.Remaining bytes …
//	err = checker.Check(h, body)        // everything else
//	verdict := exchange.FromClient(h, body, as) // as: the identifier to hand it on with
//	h, body, changed := checker.Normalize(h, body)
//
// A packet that is refused yields a *Violation, which names the reason code of
// MQTT 5 and the clause. Clauses are those of MQTT 5, or of 3.1.1 for a level 3
// or 4 client: MQTT 3.1 numbers nothing, so the clause of 3.1.1 that words the
// same rule stands for it. Rules without a number are cited by their section.
//
// # Malformed Packet or Protocol Error
//
// MQTT 5 section 1.2 calls a packet malformed (0x81) when it cannot be parsed,
// and a Protocol Error (0x82) when it can but says what it must not. Where the
// standard does not say which one a rule is, that sentence decides: cut off,
// too long, bad UTF-8, flags that contradict each other and misplaced wildcards
// are 0x81; forbidden values and packets out of order are 0x82.
//
// Where the standard does say so, we follow it, with one exception: a property
// that exists but has no place in its packet is 0x81 by section 2.2.2.2. Other
// brokers, and the test sequences that are published for brokers, have 0x82 for
// it, and it is what clients are tested against, so it is ours, too.
//
// # Where the standard leaves a choice
//
//   - Control characters and non-characters in text SHOULD NOT be sent
//     (section 1.5.4). They are accepted unless Config.RefuseControls is set.
//   - A payload that claims to be UTF-8 and is not MAY be refused (section
//     3.3.2.3.2). It is, with 0x99; the same for a will.
//   - "$share/" is recognised in any case and by Unicode folding, because the
//     broker behind does so: "$SHARE//x" would otherwise be judged as an
//     ordinary filter here and as a shared subscription there. For the same
//     reason the syntax of shared subscriptions holds for level 3 and 4 too.
//   - PUBACK and PUBREC with 0x10, No matching subscribers, are accepted: the
//     table says that servers send it, and a bridge is a server that connects
//     as a client.
//   - Server Reference in a client's DISCONNECT is refused: section 3.14.2.2.5
//     gives it a meaning from servers only.
//   - An empty Authentication Method is refused with 0x8C, as a method nobody
//     supports: the broker behind cannot tell it from none.
//   - Remaining Length may take more bytes than it needs below level 5, which is
//     the first to forbid it ([MQTT-1.5.5-1]).
//   - A level 4 client needs Clean Session for an empty client identifier
//     ([MQTT-3.1.3-8]), a level 3 client needs an identifier; its upper bound
//     of 23 characters is not enforced at any level.
//   - In MQTT 3.1 unused header and connect flags mean nothing, DUP may be set
//     on PUBREL, SUBSCRIBE and UNSUBSCRIBE, and a user name or password may be
//     missing although its flag is set. Normalize puts such packets into the
//     form that 3.1.1 demands. Bytes left over at the end are refused at every
//     level.
package frame
