package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"mqttwarden/registry/durable"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/node"
)

// caCommands work on the certificate authority in the store itself. A server
// that runs on the store hears of what they change within seconds.
type caCommands struct {
	Init   caInitCmd   `cmd:"" help:"Make the authority, if there is none, and say what it is."`
	Export caExportCmd `cmd:"" help:"Write the CA certificates, issuer first, as PEM."`
	Import caImportCmd `cmd:"" help:"Have an existing issuing CA issue from now on."`
	Revoke caRevokeCmd `cmd:"" help:"Revoke a certificate that was issued here."`
	List   caListCmd   `cmd:"" help:"List the certificates that were issued here."`
}

// storeCommand is a command that works on the store itself.
type storeCommand interface {
	settings.Command
	store() *storeConfig
}

// onStore opens the store, which must be there, runs f and closes the store.
func onStore(ctx context.Context, c storeCommand, given *settings.Reader, f func(*node.Node) error) error {
	if err := given.ReadAll(c); err != nil {
		return err
	}
	cfg := *c.store()
	keys, err := keysOfStore(cfg)
	if err != nil {
		return err
	}
	how, err := nodeConfig(cfg, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if how.Postgres != nil {
		if err := used(ctx, how.Postgres); err != nil {
			return err
		}
	}
	n, err := openNode(ctx, how, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(n), n.Close())
}

type caInitCmd struct{ storeSettings }

// Run makes the authority: opening the store does.
func (c *caInitCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	return onStore(ctx, c, given, func(n *node.Node) error {
		for _, cert := range n.PKI.Issuer().Current().Certificates() {
			if _, err := fmt.Fprintf(s.out, "%s\n  SHA-256 %s\n  until %s\n", cert.Subject, ca.Fingerprint(cert), cert.NotAfter.Format(time.DateOnly)); err != nil {
				return err
			}
		}
		return nil
	})
}

type caExportCmd struct {
	storeSettings

	Root bool   `help:"Only the root certificate."`
	Out  string `placeholder:"FILE" help:"Write to a file instead of standard output."`
}

// Run writes the certificates; keys never leave the store.
func (c *caExportCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	return onStore(ctx, c, given, func(n *node.Node) error {
		pem := n.PKI.Issuer().Current().ChainPEM()
		if c.Root {
			pem = n.PKI.Issuer().Current().RootPEM()
		}
		if c.Out != "" {
			return durable.Write(c.Out, []byte(pem), 0o644)
		}
		_, err := fmt.Fprint(s.out, pem)
		return err
	})
}

type caImportCmd struct {
	storeSettings

	Chain string `required:"" placeholder:"FILE" help:"The issuing certificate and those above it up to the root, PEM."`
	Key   string `required:"" placeholder:"FILE" help:"Private key of the issuing certificate, PEM."`
}

// Run imports an authority. What the one before it issued goes on being valid
// and can still be revoked.
func (c *caImportCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	chain, err := os.ReadFile(c.Chain)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(c.Key)
	if err != nil {
		return err
	}
	return onStore(ctx, c, given, func(n *node.Node) error {
		if _, err := n.PKI.ImportAuthority(ctx, registry.System("cli"), chain, key); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s issues from now on.\n", n.PKI.Issuer().Current().Certificates()[0].Subject)
		return err
	})
}

type caRevokeCmd struct {
	storeSettings

	Certificate string `arg:"" help:"Serial number or SHA-256 fingerprint."`
	Reason      string `default:"unspecified" help:"unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn."`
}

// Run revokes the certificate; sessions that rest on it end.
func (c *caRevokeCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	reasons := map[string]ca.Reason{
		"unspecified": ca.Unspecified, "keyCompromise": ca.KeyCompromise, "affiliationChanged": ca.AffiliationChanged,
		"superseded": ca.Superseded, "cessationOfOperation": ca.CessationOfOperation, "privilegeWithdrawn": ca.PrivilegeWithdrawn,
	}
	reason, ok := reasons[c.Reason]
	if !ok {
		return fmt.Errorf("reason: %q: must be unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn", c.Reason)
	}
	name := strings.ToLower(strings.ReplaceAll(c.Certificate, ":", ""))
	return onStore(ctx, c, given, func(n *node.Node) error {
		revoked, _, err := n.PKI.Revoke(ctx, registry.System("cli"), name, reason)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.out, "Certificate %s is revoked.\n", name); err != nil {
			return err
		}
		for _, c := range revoked {
			if c.Fingerprint == name || c.Serial == name {
				continue
			}
			if _, err := fmt.Fprintf(s.out, "Certificate %s, which was renewed from it, is revoked too.\n", c.Serial); err != nil {
				return err
			}
		}
		return nil
	})
}

type caListCmd struct {
	storeSettings

	Username string `help:"Only those of this user name."`
	All      bool   `help:"Revoked and expired ones too."`
}

// Run prints a line for each certificate, the oldest first.
func (c *caListCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	return onStore(ctx, c, given, func(n *node.Node) error {
		q := registry.IssuedQuery{Username: c.Username}
		if !c.All {
			standing := false
			q.Revoked, q.ExpiresAfter = &standing, time.Now()
		}
		found, _, err := n.PKI.IssuedCertificates(ctx, q)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "SERIAL\tUSER\tUNTIL\tSTATE\tSHA-256")
		for _, cert := range found {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cert.Serial, cert.Username, cert.NotAfter.Format(time.DateOnly), state(&cert), cert.Fingerprint)
		}
		return w.Flush()
	})
}

func state(c *registry.IssuedCertificate) string {
	switch {
	case !c.Revoked.IsZero():
		return "revoked"
	case time.Now().After(c.NotAfter):
		return "expired"
	default:
		return "valid"
	}
}
