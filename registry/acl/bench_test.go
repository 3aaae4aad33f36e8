package acl

import (
	"fmt"
	"strings"
	"testing"
)

// plant returns n grants as an operator of a plant hands them out: lines with
// cells, each with a few things to read and write, and some pages of the API.
// One deny is among them, so every question walks through two tries.
func plant(n int, prefix string) Source {
	src := Source{
		Username:  "gw-7",
		ClientIDs: []string{"gw-7", "gw-7-+"},
		Prefix:    prefix,
		Grants: []Grant{
			{Context: MQTT, Operation: ReadWrite, Resource: "devices/${clientid}/#"},
			{Context: MQTT, Operation: Read, Resource: "+/broadcast/#"},
			{Context: MQTT, Operation: ReadWrite, Effect: Deny, Resource: "site1/+/safety/#"},
			{Context: HTTP, Operation: Read, Resource: "/api/users/+"},
		},
	}
	for i := 0; len(src.Grants) < n; i++ {
		line := fmt.Sprintf("site1/line-%d/cell-%d", i/8, i%8)
		src.Grants = append(src.Grants,
			Grant{Context: MQTT, Operation: Write, Resource: line + "/out/#"},
			Grant{Context: MQTT, Operation: Read, Resource: line + "/cmd/+"},
			Grant{Context: MQTT, Operation: ReadWrite, Resource: line + "/state"},
			Grant{Context: HTTP, Operation: ReadWrite, Resource: fmt.Sprintf("/api/cells/%d-%d/#", i/8, i%8)},
		)
	}
	return src
}

// plantNames returns topics of the plant, so that a benchmark does not ask the
// same thing twice in a row.
func plantNames(permissions int, format string) []string {
	cells := (permissions - 4) / 4
	var names []string
	for i := range 64 {
		cell := i * 37 % cells
		names = append(names, fmt.Sprintf(format, cell/8, cell%8))
	}
	return names
}

// questions are asked of the plant, by its tests and benchmarks.
var questions = []struct {
	name   string
	prefix string
	ask    func(*Policy, *Names, string) bool
	format string
	want   bool
}{
	{"publish/hit", "", (*Policy).MayPublish, "site1/line-%d/cell-%d/out/temp", true},
	{"publish/miss", "", (*Policy).MayPublish, "site1/line-%d/cell-%d/in/temp", false},
	{"publish/denied", "", (*Policy).MayPublish, "site1/line-%d/safety/out/temp%d", false},
	{"publish/prefix", "site1/li", (*Policy).MayPublish, "ne-%d/cell-%d/out/temp", true},
	{"publish/clientid", "", (*Policy).MayPublish, "devices/gw-7-1/out/%d/%d", true},
	{"publish/long", "", (*Policy).MayPublish, "devices/gw-7-1/a-level-of-twenty-bytes-%d/and-another-one-that-is-long-%d", true},
	{"read/hit", "", (*Policy).MayRead, "site1/line-%d/cell-%d/cmd/start", true},
	{"read/miss", "", (*Policy).MayRead, "site1/line-%d/cell-%d/cmd/start/now", false},
	{"read/filter", "", (*Policy).MayRead, "site1/line-%d/cell-%d/cmd/+", true},
	{"read/shared", "", (*Policy).MayRead, "$share/group/site1/line-%d/cell-%d/cmd/+", true},
	{"read/strict", "", (*Policy).MayReadStrict, "site1/line-%d/cell-%d/cmd/+", true},
	{"http/hit", "", mayWrite, "/api/cells/%d-%d/state", true},
	{"http/miss", "", mayWrite, "/api/users/%d-%d", false},
}

func mayWrite(p *Policy, _ *Names, path string) bool { return p.MayHTTP(Write, path) }

func TestDecisionsDoNotAllocate(t *testing.T) {
	for _, tt := range questions {
		t.Run(tt.name, func(t *testing.T) {
			p := Compile(plant(200, tt.prefix))
			n := p.Names("gw-7-1", "")
			name := plantNames(200, tt.format)[0]
			if got := tt.ask(p, &n, name); got != tt.want {
				t.Fatalf("%q: got %v, want %v", name, got, tt.want)
			}
			if allocs := testing.AllocsPerRun(100, func() { tt.ask(p, &n, name) }); allocs != 0 {
				t.Errorf("%q allocates %v times, want 0", name, allocs)
			}
			other := Compile(Source{}).Names("gw-7-1", "")
			if allocs := testing.AllocsPerRun(100, func() { tt.ask(p, &other, name) }); allocs != 0 {
				t.Errorf("%q with the names of another policy allocates %v times, want 0", name, allocs)
			}
		})
	}
}

// TestWorkIsBounded holds the promise of the package comment against grants
// that are made to break it: every mix of text and wildcard on twelve levels.
func TestWorkIsBounded(t *testing.T) {
	const depth = 12
	var grants []Grant
	for mix := range 1 << depth {
		levels := make([]string, depth)
		for i := range levels {
			levels[i] = "a"
			if mix>>i&1 != 0 {
				levels[i] = "+"
			}
		}
		grants = append(grants, may(strings.Join(append(levels, "x"), "/")))
	}
	p := Compile(Source{Grants: grants})
	if got, most := len(p.held.sets[0].rights[place(MQTT, Write)].allow.nodes), 3<<depth; got > most {
		t.Errorf("%d nodes, which one question may visit; want at most %d", got, most)
	}
	topic := strings.Repeat("a/", depth)
	if p.MayPublish(nil, topic+"y") || p.MayRead(nil, strings.Repeat("+/", depth)+"y") || !p.MayPublish(nil, topic+"x") {
		t.Error("the wrong answer")
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, bm := range questions {
		for _, permissions := range []int{20, 1000} {
			b.Run(fmt.Sprintf("%s/permissions=%d", bm.name, permissions), func(b *testing.B) {
				p := Compile(plant(permissions, bm.prefix))
				n := p.Names("gw-7-1", "")
				names := plantNames(permissions, bm.format)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if bm.ask(p, &n, names[i&63]) != bm.want {
						b.Fatalf("%q: want %v", names[i&63], bm.want)
					}
					i++
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, permissions := range []int{20, 1000} {
		b.Run(fmt.Sprintf("permissions=%d", permissions), func(b *testing.B) {
			src := plant(permissions, "")
			b.ReportAllocs()
			for b.Loop() {
				Compile(src)
			}
		})
	}
}
