package acl

// Names are the values that placeholders stand for in one session. Policy.Names checks
// them once, for that policy; another policy that is asked with them checks them again
// each time, so keep the two together. A nil *Names stands for no session: ${clientid}
// and ${cert.cn} match nothing.
//
// Names are read only and may be shared.
type Names struct {
	policy   *Policy
	clientID value
	certCN   value
}

// value is what a placeholder stands for.
type value struct {
	text string
	live bool // it may match; otherwise the placeholder matches nothing
}

// Names returns the values for a session with that client ID and that common
// name in its certificate, each "" if there is none. It refuses nothing; whether
// the client ID may be used at all is asked with MayUseClientID.
func (p *Policy) Names(clientID, certCN string) Names {
	return Names{
		policy:   p,
		clientID: value{clientID, p.trusts(clientID)},
		certCN:   value{certCN, usable(certCN)},
	}
}

// trusts reports whether ${clientid} may stand for id: only if a list of client IDs
// covers it, since without a list a client may use any.
func (p *Policy) trusts(id string) bool {
	return p != nil && usable(id) && p.clientIDs.cover(id)
}
