package enrol

import (
	"context"
	"unicode/utf8"

	"mqttwarden/registry/peer"

	"mqttwarden/registry"
)

// UnknownUser makes a registration of the name and password of an MQTT client that is
// no user, if the window is open and both meet the rules. The client is refused in
// any case and is not told of it. While the window is closed this reads memory only.
func (s *Service) UnknownUser(ctx context.Context, a registry.Attempt) {
	if a.ClientID == "" || !a.HasPassword || a.PasswordIsToken() || !s.windowOpen() {
		return
	}
	req := Request{
		Username: a.Username, Password: a.Password, Source: registry.SourceMQTT, Remote: a.Remote,
		ClientID: cut(a.ClientID, maxClientID),
	}
	req.Context = "MQTT client " + req.ClientID
	if a.Remote.IsValid() {
		req.Context += " from " + a.Remote.String()
	}
	if !s.throttle.Allow(peer.Network(req.Remote), s.now()) || s.check(&req) != nil {
		return
	}
	if _, err := s.register(ctx, &req); err != nil {
		s.cfg.Log.Debug("no registration was made of a CONNECT", "err", err)
	}
}

// cut returns at most limit bytes of text, whole characters only.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
