package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// loads are the attacks that there are.
func loads() []load {
	return []load{
		{"bodies", largeBodies},
		{"overlap", overlappingFilters},
		{"replay", repeatedFilters},
		{"pools", fullPools},
		{"silent", silentConnections},
		{"idle-http", idleHTTP},
		{"logins", loginsAndLogouts},
		{"refused", refusedConnects},
	}
}

// several runs f so many times at once.
func several(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// cutAt ends a connection with ctx.
func cutAt(ctx context.Context, c net.Conn) { context.AfterFunc(ctx, func() { _ = c.Close() }) }

// as connects a hostile client, whose connection ends with ctx; nil if it is refused.
// What it gets is thrown away.
func (h *hostile) as(ctx context.Context, clientID string, connect []byte) net.Conn {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.ours.where["mqtt"])
	if err != nil {
		return nil
	}
	cutAt(ctx, conn)
	if connect == nil {
		connect = appendConnect(nil, 4, clientID, h.mallory)
	}
	answer := make([]byte, 4)
	if _, err := conn.Write(connect); err != nil {
		return nil
	}
	if _, err := io.ReadFull(conn, answer); err != nil || answer[3] != 0 {
		_ = conn.Close()
		return nil
	}
	return conn
}

// largeBodies has thirty requests at a time, from one address, decode a megabyte of small
// objects.
func largeBodies(ctx context.Context, h *hostile) {
	body := `{"a":[` + strings.TrimSuffix(strings.Repeat(`{"b":1},`, 120_000), ",") + `]}`
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 30, DialContext: from(0).DialContext}}
	defer web.CloseIdleConnections()
	several(30, func(int) {
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.ours.where["http"]+"/api/login", strings.NewReader(body))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			if res, err := web.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		}
	})
}

// overlappingFilters plants 4,096 filters of twelve levels over five sessions, all of
// which match one topic, and publishes to that.
func overlappingFilters(ctx context.Context, h *hostile) {
	const levels, sessions = 12, 5
	several(sessions, func(i int) {
		c := h.as(ctx, fmt.Sprint("overlap-", i), nil)
		if c == nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }()
		var out []byte
		for mask := i; mask < 1<<levels; mask += sessions {
			var filter strings.Builder
			filter.WriteByte('x')
			for level := range levels {
				filter.WriteString([]string{"/a", "/+"}[mask>>level&1])
			}
			out = appendSubscribe(out, 4, uint16(1+mask), filter.String(), 0) // #nosec G115 -- below 4,097
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		flood(c, appendPublish(nil, 4, "x"+strings.Repeat("/a", levels), 0, 0, []byte("x")))
	})
}

// flood writes a packet again and again, until the connection ends.
func flood(c io.Writer, packet []byte) {
	many := bytes.Repeat(packet, 20)
	for {
		if _, err := c.Write(many); err != nil {
			return
		}
	}
}

// repeatedFilters retains 20,000 messages and asks for all of them, fifty times in a
// packet.
func repeatedFilters(ctx context.Context, h *hostile) {
	h.retain(ctx, 20_000)
	body := binary.BigEndian.AppendUint16(nil, 1)
	for range 50 {
		body = append(appendText(body, "x/#"), 0)
	}
	packet := appendPacket(nil, 0x82, body)
	several(5, func(i int) {
		for ctx.Err() == nil {
			c := h.as(ctx, fmt.Sprint("replay-", i), nil)
			if c == nil {
				pause(ctx, 10*time.Millisecond)
				continue
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
			for {
				if _, err := c.Write(packet); err != nil {
					break
				}
			}
		}
	})
}

// retain retains so many messages.
func (h *hostile) retain(ctx context.Context, n int) {
	c := h.as(ctx, "retain", nil)
	if c == nil {
		return
	}
	defer c.Close()
	for i := range n {
		p := appendPublish(nil, 4, fmt.Sprint("x/r/", i), 0, 0, []byte("x"))
		p[0] |= 1 // to be retained
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

// fullPools has messages of 250 KB wait for six sessions, and retains what it can.
func fullPools(ctx context.Context, h *hostile) {
	for i := range 6 {
		id := fmt.Sprint("stored-", i)
		connect := appendConnect(nil, 4, id, h.mallory)
		connect[bytes.Index(connect, []byte("MQTT"))+5] &^= 1 << 1 // a session that stays
		if c := h.as(ctx, id, connect); c != nil {
			_, _ = c.Write(appendSubscribe(nil, 4, 1, "x/large", 1))
			_, _ = io.ReadFull(c, make([]byte, 5)) // SUBACK
			_ = c.Close()
		}
	}
	several(2, func(i int) {
		if i == 0 {
			h.retain(ctx, 200_000)
			return
		}
		c := h.as(ctx, "large", nil)
		if c == nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }()
		packet := appendPublish(nil, 4, "x/large", 1, 1, make([]byte, 250<<10))
		for {
			if _, err := c.Write(packet); err != nil {
				return
			}
		}
	})
}

// from returns a dialer of one of ten addresses.
func from(i int) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%10))}} // #nosec G115 -- below 11
}

// silentConnections opens a few hundred connections a second and says nothing.
func silentConnections(ctx context.Context, h *hostile) {
	for i := 0; ctx.Err() == nil; i++ {
		if c, err := from(i).DialContext(ctx, "tcp", h.ours.where["mqtt"]); err == nil {
			cutAt(ctx, c)
		}
		pause(ctx, 3*time.Millisecond)
	}
}

// idleHTTP opens 1,500 HTTP connections and says nothing.
func idleHTTP(ctx context.Context, h *hostile) {
	for i := 0; ctx.Err() == nil; i++ {
		if c, err := from(i).DialContext(ctx, "tcp", h.ours.where["http"]); err == nil {
			cutAt(ctx, c)
		}
		if i > 1500 {
			pause(ctx, 5*time.Millisecond)
		}
	}
}

// makeHeavy makes a user with six roles, as large as roles can be.
func (h *hostile) makeHeavy(ctx context.Context) error {
	var roles []string
	for i := range 6 {
		var all []permission
		for j := range 9_500 {
			all = append(all, both(fmt.Sprintf("x/%d/%d/+/#", i, j)))
		}
		role, err := h.api.createRole(ctx, fmt.Sprint(h.heavy.username, i), all...)
		if err != nil {
			return err
		}
		roles = append(roles, role)
	}
	_, err := h.api.createUser(ctx, h.heavy, roles...)
	return err
}

// loginsAndLogouts has a user with large roles sign in and out.
func loginsAndLogouts(ctx context.Context, h *hostile) {
	several(4, func(int) {
		for ctx.Err() == nil {
			a := &api{base: h.api.base, http: h.api.http}
			var answer struct {
				Token string `json:"token"`
			}
			if a.call(ctx, http.MethodPost, "/api/login", map[string]string{"username": h.heavy.username, "password": h.heavy.password}, &answer) != nil {
				pause(ctx, time.Millisecond)
				continue
			}
			_ = a.call(ctx, http.MethodPost, "/api/logout", map[string]string{"token": answer.Token}, nil)
		}
	})
}

// refusedConnects has CONNECTs with a wrong password refused, as fast as that goes.
func refusedConnects(ctx context.Context, h *hostile) {
	several(8, func(i int) {
		connect := appendConnect(nil, 4, fmt.Sprint("bad-", i), credentials{h.honest.username, "wrong"})
		for ctx.Err() == nil {
			h.as(ctx, "", connect)
		}
	})
}
