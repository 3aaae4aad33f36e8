package program

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mqttwarden/adminapi"
	"mqttwarden/registry"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
)

// snapshots are how the parts of the program tell their figures. A scrape asks
// each of them once.
type snapshots struct {
	broker     func() brokerFigures
	http       func() httpFigures
	logDropped func() uint64
	pool       func() secret.Stats
	principals func() registry.PrincipalStats
	store      func() storeFigures
	bodies     func() adminapi.BodyStats
	late       func() uint64           // changes that were answered before they were in force
	cache      func() rediscache.Stats // nil without Redis
	bus        func() busFigures       // nil without Redis
}

// metrics returns the page of all metrics.
func (a *app) metrics() http.Handler {
	from := snapshots{
		broker:     func() brokerFigures { return brokerFigures{a.broker.Stats(), a.broker.Inflight()} },
		http:       a.httpConns.figures,
		logDropped: a.logDropped,
		pool:       a.register.Hashes.Stats,
		principals: a.register.Principals.Stats,
		store:      a.storeFigures,
		bodies:     a.bodies.Stats,
		late:       a.late.Load,
	}
	if a.register.Cache != nil {
		from.cache, from.bus = a.register.Cache.Stats, a.busFigures
	}
	reg := metricsOf(from)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// metricsOf returns our own metrics. No user, topic or address is ever a label:
// nobody outside decides how many series there are.
func metricsOf(from snapshots) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		brokerPart(from.broker), httpPart(from.http), logPart(from.logDropped), poolPart(from.pool),
		principalsPart(from.principals), storePart(from.store), bodiesPart(from.bodies),
		latePart(from.late),
	)
	if from.cache != nil {
		reg.MustRegister(cachePart(from.cache), busPart(from.bus))
	}
	return reg
}

// part collects the metrics of one part of the program. All of them are read
// from one snapshot, so that they fit together and the part is asked once.
type part[S any] struct {
	snapshot func() S
	series   []series[S]
}

// Describe implements prometheus.Collector.
func (p part[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range p.series {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (p part[S]) Collect(ch chan<- prometheus.Metric) {
	snapshot := p.snapshot()
	for _, s := range p.series {
		s.collect(snapshot, ch)
	}
}

// series are a metric with all its label values, and how it is read from a
// snapshot.
type series[S any] struct {
	desc    *prometheus.Desc
	collect func(S, chan<- prometheus.Metric)
}

// gauge is a metric that goes up and down.
func gauge[S any](name, help string, read func(S) float64) series[S] {
	return single(prometheus.GaugeValue, name, help, read)
}

// counter is a metric that only grows.
func counter[S any](name, help string, read func(S) float64) series[S] {
	return single(prometheus.CounterValue, name, help, read)
}

func single[S any](kind prometheus.ValueType, name, help string, read func(S) float64) series[S] {
	desc := prometheus.NewDesc(name, help, nil, nil)
	return series[S]{desc, func(snapshot S, ch chan<- prometheus.Metric) {
		ch <- prometheus.MustNewConstMetric(desc, kind, read(snapshot))
	}}
}

// byCode counts refusals, with one series for each reason code met.
func byCode[S any](name, help string, read func(S) map[byte]uint64) series[S] {
	desc := prometheus.NewDesc(name, help, []string{"code"}, nil)
	return series[S]{desc, func(snapshot S, ch chan<- prometheus.Metric) {
		for code, n := range read(snapshot) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), fmt.Sprintf("0x%02X", code))
		}
	}}
}

// byCause counts incidents, with one series for each cause met. There are few.
func byCause[S any](name, help string, read func(S) map[string]uint64) series[S] {
	desc := prometheus.NewDesc(name, help, []string{"cause"}, nil)
	return series[S]{desc, func(snapshot S, ch chan<- prometheus.Metric) {
		for cause, n := range read(snapshot) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), cause)
		}
	}}
}

// byUse is a gauge with one series for each use of certificates.
func byUse[S any](name, help string, read func(S) map[string]int) series[S] {
	desc := prometheus.NewDesc(name, help, []string{"use"}, nil)
	return series[S]{desc, func(snapshot S, ch chan<- prometheus.Metric) {
		for use, n := range read(snapshot) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), use)
		}
	}}
}

// oneIf is how a gauge tells yes and no.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
