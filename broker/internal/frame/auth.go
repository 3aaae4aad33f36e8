package frame

const (
	reasonContinue       byte = 0x18
	reasonReauthenticate byte = 0x19
)

// auth checks an AUTH (section 3.15). Its short form, no bytes at all, means
// Success, which is the server's to say, and has no method, which it needs: it
// is refused as cut off.
//
// Whether a 0x18 answers a challenge is known to the conversation that sends
// challenges, and not checked here.
func (c *Checker) auth(r *reader) {
	code := r.byte("the reason code")
	switch {
	case code != reasonContinue && code != reasonReauthenticate:
		// Table 3-14: Success is sent by servers only.
		r.fail(codeProtocolError, clause{v5: "MQTT-3.15.2-1"}, "the reason code is none of a client's AUTH")
	case code == reasonReauthenticate && !c.accepted:
		// MQTT-4.12.1-1: any time after CONNACK; until then MQTT-4.12.0-3 wants 0x18.
		r.fail(codeProtocolError, clause{v5: "MQTT-4.12.0-3"}, "a client that is not signed in asks to sign in again")
	}
	p := r.properties(inAuth)
	switch {
	case !p.has(propAuthMethod):
		r.fail(codeProtocolError, clause{v5: "section 3.15.2.2.2"}, "the AUTH has no Authentication Method")
	case string(p.authMethod) != c.authMethod:
		r.fail(codeProtocolError, clause{v5: "MQTT-4.12.0-5"}, "the Authentication Method is not that of CONNECT")
	}
	r.end()
}
