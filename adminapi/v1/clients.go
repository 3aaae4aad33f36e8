package v1

import (
	"context"
	"net/http"
	"net/netip"
	"time"
	"unicode"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// Clients are the clients of the broker: who has which client ID, connected or with a
// session that is stored.
type Clients interface {
	// Clients returns the clients that q selects, by their IDs, from offset on and at
	// most limit, and how many there are in all.
	Clients(q ClientQuery, offset, limit int) ([]Client, int)
	// Client returns the client with an ID, and its subscriptions. It reports false
	// when nobody has the ID.
	Client(id string) (Client, []Subscription, bool)
	// EndClient ends the connection of the client with an ID if it is that user's, and
	// with drop its session, too. The client is told the reason. It reports false when
	// the user does not have the ID.
	EndClient(ctx context.Context, id string, user registry.UserID, reason string, drop bool) bool
}

// Client is a client that has signed in.
type Client struct {
	ID        string
	User      registry.UserID
	Username  string
	Connected bool // false: its session is stored
	Protocol  byte // protocol level of MQTT: 3, 4 or 5
	Address   netip.Addr
	Listener  string
	KeepAlive time.Duration
	Persists  bool      // the session outlives its connection
	Since     time.Time // of its connection; zero: from before a restart
	Left      time.Time // when its connection ended; zero: it is there, or not known
	Expires   time.Time // of a stored session
	Waiting   int       // messages that the client has not acknowledged

	Received, Sent Traffic
}

// Traffic counts messages and bytes of one direction.
type Traffic struct{ Messages, Bytes uint64 }

// Subscription is a filter of a client.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
}

// ClientQuery selects clients; the zero value of each field selects all.
type ClientQuery struct {
	ID       string
	Username string
	Address  netip.Addr
	Protocol byte
	State    string // connected or stored
}

// Ends writes the audit log for what callers do to clients, and says whether they may.
type Ends interface {
	// EndingClient returns Forbidden when the user has a right that the caller has not.
	EndingClient(ctx context.Context, by registry.Caller, user registry.UserID, clientID, reason string, drop bool) error
}

// trafficJSON is Traffic as the API shows it.
type trafficJSON struct {
	Messages uint64 `json:"messages" doc:"PUBLISH packets."`
	Bytes    uint64 `json:"bytes" doc:"Of all packets of MQTT."`
}

// clientJSON is a client as the API shows it.
type clientJSON struct {
	ClientID       string      `json:"clientId" example:"gateway-7"`
	UserID         string      `json:"userId"`
	Username       string      `json:"username" example:"gateway1"`
	Node           string      `json:"node" doc:"The node that has its session."`
	State          string      `json:"state" enum:"connected,stored"`
	Protocol       int         `json:"protocol" minimum:"3" maximum:"5" doc:"Protocol level of MQTT: 3 is 3.1, 4 is 3.1.1."`
	Address        string      `json:"address,omitempty" doc:"The latest that it connected from; missing for a session from before a restart." example:"192.0.2.7"`
	Listener       string      `json:"listener,omitempty" example:"mqtts"`
	KeepAlive      int         `json:"keepAlive" doc:"In seconds; 0: none."`
	Persistent     bool        `json:"persistent" doc:"Whether the session outlives its connection."`
	ConnectedAt    *wire.Time  `json:"connectedAt" nullable:"true" doc:"null for a session from before a restart."`
	DisconnectedAt *wire.Time  `json:"disconnectedAt" nullable:"true"`
	ExpiresAt      *wire.Time  `json:"expiresAt" nullable:"true" doc:"When a stored session is forgotten."`
	Waiting        int         `json:"waiting" doc:"Messages of QoS 1 and 2 that it has not acknowledged."`
	Received       trafficJSON `json:"received" doc:"What came from it over this connection."`
	Sent           trafficJSON `json:"sent" doc:"What it was sent over this connection."`
}

func (a *API) showClient(c Client) clientJSON {
	j := clientJSON{
		ClientID: c.ID, UserID: string(c.User), Username: c.Username, Node: a.node, State: "stored",
		Protocol: int(c.Protocol), Listener: c.Listener, KeepAlive: int(c.KeepAlive / time.Second), Persistent: c.Persists,
		ConnectedAt: wire.TimeOrNull(c.Since), Waiting: c.Waiting,
		Received: trafficJSON(c.Received), Sent: trafficJSON(c.Sent),
	}
	if c.Address.IsValid() {
		j.Address = c.Address.String()
	}
	if c.Connected {
		j.State = "connected"
		return j
	}
	j.DisconnectedAt, j.ExpiresAt = wire.TimeOrNull(c.Left), wire.TimeOrNull(c.Expires)
	return j
}

// subscriptionJSON is a subscription as the API shows it.
type subscriptionJSON struct {
	Filter            string `json:"filter" example:"site1/#"`
	QoS               int    `json:"qos"`
	NoLocal           bool   `json:"noLocal"`
	RetainAsPublished bool   `json:"retainAsPublished"`
}

func showSubscription(s Subscription) subscriptionJSON {
	return subscriptionJSON{Filter: s.Filter, QoS: int(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished}
}

// oneClientJSON is a client with what it has subscribed to.
type oneClientJSON struct {
	clientJSON
	Subscriptions []subscriptionJSON `json:"subscriptions"`
}

// clientPageJSON is a page of clients.
type clientPageJSON struct {
	Clients    []clientJSON   `json:"clients"`
	Pagination paginationJSON `json:"pagination"`
}

// listClients serves GET /clients.
func (a *API) listClients(ctx context.Context, in *struct {
	ClientID    string `query:"clientId" maxLength:"65535" doc:"Only the client with this very ID, for one that can't stand in a path."`
	Username    string `query:"username" maxLength:"255" doc:"Only clients of the user with this name."`
	Node        string `query:"node" maxLength:"255" doc:"Only clients of this node."`
	Address     string `query:"address" maxLength:"64" doc:"Only clients that connected from this address." example:"192.0.2.7"`
	Protocol    int    `query:"protocol" minimum:"3" maximum:"5" doc:"Only clients of this protocol level of MQTT."`
	State       string `query:"state" enum:"connected,stored" doc:"Only clients that are connected, or sessions that are stored."`
	PageNumber  int    `query:"pageNumber" default:"1" minimum:"1" maximum:"1000000000" doc:"The page, from 1."`
	RowsPerPage int    `query:"rowsPerPage" default:"100" minimum:"1" maximum:"100" doc:"Clients on a page."`
},
) (*struct{ Body clientPageJSON }, error) {
	q := ClientQuery{ID: in.ClientID, Username: in.Username, Protocol: byte(in.Protocol), State: in.State} // #nosec G115 -- 3, 4 or 5
	if in.Address != "" {
		addr, err := netip.ParseAddr(in.Address)
		if err != nil {
			return nil, registry.Errorf(registry.Invalid, "address", "must be an IP address")
		}
		q.Address = addr.Unmap()
	}
	var clients []Client
	total := 0
	if in.Node == "" || in.Node == a.node {
		clients, total = a.clients.Clients(q, (in.PageNumber-1)*in.RowsPerPage, in.RowsPerPage)
	}
	return &struct{ Body clientPageJSON }{clientPageJSON{
		each(clients, a.showClient), paginate(in.PageNumber, in.RowsPerPage, total),
	}}, nil
}

// WhichClient names a client in a path.
type WhichClient struct {
	ClientID string `path:"clientId" maxLength:"65535" doc:"Its client ID. One that can't stand in a path, with a slash for example, is given as ?clientId= to /clients." example:"gateway-7"`
}

// getClient serves GET /clients/{clientId}.
func (a *API) getClient(_ context.Context, in *struct{ WhichClient }) (*struct{ Body oneClientJSON }, error) {
	c, subs, ok := a.clients.Client(in.ClientID)
	if !ok {
		return nil, noClient()
	}
	return &struct{ Body oneClientJSON }{oneClientJSON{a.showClient(c), each(subs, showSubscription)}}, nil
}

func noClient() error {
	return registry.Errorf(registry.NotFound, "clientId", "no client has this ID, connected or stored")
}

// Ending is part of a request that ends a client.
type Ending struct {
	Session bool   `query:"session" doc:"Drop its session, too: its subscriptions and what waits for it. The ID is free then."`
	Reason  string `query:"reason" maxLength:"96" doc:"What the client (MQTT 5) and the log are told." example:"moved to another site"`
}

// endClient serves DELETE /clients/{clientId}.
func (a *API) endClient(ctx context.Context, in *struct {
	WhichClient
	Ending
},
) (*struct{ Status int }, error) {
	return a.end(ctx, in.ClientID, in.Ending)
}

// endClientNamed serves DELETE /clients.
func (a *API) endClientNamed(ctx context.Context, in *struct {
	ClientID string `query:"clientId" required:"true" minLength:"1" maxLength:"65535" doc:"Its client ID."`
	Ending
},
) (*struct{ Status int }, error) {
	return a.end(ctx, in.ClientID, in.Ending)
}

// end ends a client if its user has no right that the caller has not. What can't be
// audited is not done.
func (a *API) end(ctx context.Context, id string, how Ending) (*struct{ Status int }, error) {
	if err := printableReason(how.Reason); err != nil {
		return nil, err
	}
	c, _, ok := a.clients.Client(id)
	if !ok {
		return nil, noClient()
	}
	if err := a.ends.EndingClient(ctx, access.Caller(ctx), c.User, id, how.Reason, how.Session); err != nil {
		return nil, err
	}
	if !a.clients.EndClient(ctx, id, c.User, how.Reason, how.Session) {
		return nil, noClient()
	}
	return &struct{ Status int }{http.StatusNoContent}, nil
}

// printableReason refuses a reason that a client or a log could not show.
func printableReason(reason string) error {
	for _, r := range reason {
		if r < ' ' || r == 0x7F || r == unicode.ReplacementChar {
			return registry.Errorf(registry.Invalid, "reason", "must be text without control characters")
		}
	}
	return nil
}
