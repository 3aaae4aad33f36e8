package program

import (
	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/pki"
)

// tlsConfig is what TLS listeners show, and what they want to see.
type tlsConfig struct {
	tlsCert, tlsKey, tlsClientCA string
	tlsClientCAMax               int
	tlsHosts                     []string
	tlsClientAuth                clientAuth
	tlsClientName                pki.Mapping
}

func (c *tlsConfig) section() settings.Section {
	return settings.Section{Name: "tls", Title: "TLS", Settings: []settings.Setting{
		{
			Name: "cert", Value: settings.File(&c.tlsCert), Placeholder: "FILE", Unset: "the own CA issues one",
			Help: "Certificate of the TLS listeners with its chain, PEM. It is read again when it changes.",
		},
		{Name: "key", Value: settings.File(&c.tlsKey), Placeholder: "FILE", Help: "Private key of tls-cert, PEM."},
		{
			Name: "hosts", Value: settings.List(&c.tlsHosts, "", func(text string) (string, bool) { return text, true }),
			Unset: "localhost, the host's name, the addresses listened on",
			Help:  "Names and addresses in a certificate that the own CA issues for the TLS listeners.",
		},
		{
			Name: "client-ca", Value: settings.File(&c.tlsClientCA), Placeholder: "FILE",
			Help: "CAs whose client certificates sign in by the name they carry, PEM; further ones may be uploaded.",
		},
		{
			Name: "client-ca-max", Value: settings.Number(&c.tlsClientCAMax, 1, 100_000), Default: "1000",
			Help: "CA certificates in tls-client-ca; with more, the start stops.",
		},
		{
			Name: "client-auth", Value: settings.Choice(&c.tlsClientAuth, authOptional, authRequired, authOff), Default: "optional",
			Help: "Whether clients must show a certificate.",
		},
		{
			Name: "client-name", Value: settings.Parsed(&c.tlsClientName, "cn, dns, email, uri or fingerprint", parseMapping), Default: "cn",
			Help: "Where the user name stands in a certificate; fingerprint for registered ones only.",
		},
	}, Check: func(p *settings.Problems) {
		if (c.tlsCert == "") != (c.tlsKey == "") {
			p.Refuse("tls-cert, tls-key", c.tlsCert+c.tlsKey, "given together")
		}
	}}
}

func parseMapping(text string) (pki.Mapping, bool) {
	m, err := pki.ParseMapping(text)
	return m, err == nil
}
