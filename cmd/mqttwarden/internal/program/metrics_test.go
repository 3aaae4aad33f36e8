package program

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/broker"
	"mqttwarden/registry"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
)

// parts counts how often each part was asked for a snapshot. They are asked side
// by side.
type parts struct {
	broker, http, log, pool, principals, store, cache, bus, bodies, late atomic.Int64
}

// snapshots are without figures, but for one refusal of each kind.
func (p *parts) snapshots() snapshots {
	refused := map[byte]uint64{0x86: 1}
	return snapshots{
		broker: func() brokerFigures {
			p.broker.Add(1)
			return brokerFigures{Stats: broker.Stats{PacketsRefused: refused, ConnectsRefused: refused, Incidents: map[string]uint64{"work": 1}}}
		},
		http:       func() httpFigures { p.http.Add(1); return httpFigures{} },
		logDropped: func() uint64 { p.log.Add(1); return 0 },
		pool:       func() secret.Stats { p.pool.Add(1); return secret.Stats{} },
		principals: func() registry.PrincipalStats { p.principals.Add(1); return registry.PrincipalStats{} },
		store:      func() storeFigures { p.store.Add(1); return storeFigures{invalid: map[string]int{useListener: 1}} },
		cache:      func() rediscache.Stats { p.cache.Add(1); return rediscache.Stats{} },
		bus:        func() busFigures { p.bus.Add(1); return busFigures{} },
		bodies:     func() adminapi.BodyStats { p.bodies.Add(1); return adminapi.BodyStats{} },
		late:       func() uint64 { p.late.Add(1); return 0 },
	}
}

func TestAScrapeAsksEachPartOnce(t *testing.T) {
	var asked parts
	reg := metricsOf(asked.snapshots())
	for scrape := int64(1); scrape <= 2; scrape++ {
		if _, err := reg.Gather(); err != nil {
			t.Fatal(err)
		}
		for name, part := range map[string]*atomic.Int64{
			"broker": &asked.broker, "http": &asked.http, "log": &asked.log, "pool": &asked.pool,
			"principals": &asked.principals, "store": &asked.store, "cache": &asked.cache, "bus": &asked.bus, "bodies": &asked.bodies, "late": &asked.late,
		} {
			if got := part.Load(); got != scrape {
				t.Errorf("after %d scrapes: %s was asked %d times", scrape, name, got)
			}
		}
	}
}

// Alarms and dashboards know metrics by name, type and labels.
func TestMetricsKeepTheirNames(t *testing.T) {
	families, err := metricsOf(new(parts).snapshots()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		labels := ""
		for _, label := range f.GetMetric()[0].GetLabel() {
			labels += "{" + label.GetName() + "}"
		}
		lines = append(lines, fmt.Sprintf("%s%s %s: %s\n", f.GetName(), labels, strings.ToLower(f.GetType().String()), f.GetHelp()))
	}
	slices.Sort(lines)
	golden(t, "metrics.golden", strings.Join(lines, ""))
}

func TestWithoutRedisThereAreNoMetricsOfIt(t *testing.T) {
	from := new(parts).snapshots()
	from.cache = nil
	families, err := metricsOf(from).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.Contains(f.GetName(), "cache") {
			t.Errorf("there is %s", f.GetName())
		}
	}
}
