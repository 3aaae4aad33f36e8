package acl

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPolicyAnswersAsTheOracle(t *testing.T) {
	seen := make(map[Reason]int)
	rapid.Check(t, func(t *rapid.T) {
		o := genOracle().Draw(t, "principal")
		p := Compile(inSets(t, o.src))
		n := p.Names(o.clientID, o.certCN)
		other := Compile(Source{ClientIDs: []string{"+"}}).Names(o.clientID, o.certCN)
		for _, q := range rapid.SliceOfN(genQuestion(o), 50, 50).Draw(t, "questions") {
			want := o.answer(q)
			seen[want]++
			e := p.Explain(&n, q)
			if e.Reason != want || e.Allowed != (want == Granted) {
				t.Fatalf("Explain(%+v) says %s, want %s", q, e, want)
			}
			if got := p.may(&n, q); got != e.Allowed {
				t.Fatalf("the May method says %v to %+v, Explain %s", got, q, e)
			}
			if got := p.may(&other, q); got != e.Allowed {
				t.Fatalf("with the names of another policy the answer to %+v is %v, want %v", q, got, e.Allowed)
			}
			o.checkGrant(t, q, e)
		}
	})
	for r := NotGranted; r <= Malformed; r++ {
		if seen[r] == 0 {
			t.Errorf("no question was answered %q: the generators miss it", r)
		}
	}
}

// inSets deals the grants of src to a few sets and to the principal alone: who
// holds them together with whom makes no difference.
func inSets(t *rapid.T, src Source) Source {
	own := src.Grants
	src.Grants = nil
	sets := make([][]Grant, rapid.IntRange(0, 3).Draw(t, "sets"))
	for _, g := range own {
		if i := rapid.IntRange(0, len(sets)).Draw(t, "set"); i < len(sets) {
			sets[i] = append(sets[i], g)
		} else {
			src.Grants = append(src.Grants, g)
		}
	}
	held := make([]*Set, len(sets))
	for i, grants := range sets {
		held[i] = NewSet(grants)
	}
	src.Held = Hold(held...)
	return src
}

// may asks the method that q is about.
func (p *Policy) may(n *Names, q Question) bool {
	switch {
	case q.Context == HTTP:
		return p.MayHTTP(q.Operation, q.Name)
	case q.Operation == Write:
		return p.MayPublish(n, q.Name)
	case q.Strict:
		return p.MayReadStrict(n, q.Name)
	default:
		return p.MayRead(n, q.Name)
	}
}

// checkGrant fails if an explanation names a grant that does not decide so.
func (o *oracle) checkGrant(t *rapid.T, q Question, e Explanation) {
	decided := e.Reason == Granted || e.Reason == Denied || e.Reason == DeniedInPart
	if (e.Grant != nil) != decided {
		t.Fatalf("Explain(%+v) says %s and names the grant %v", q, e.Reason, e.Grant)
	}
	if e.Grant == nil {
		return
	}
	g := *e.Grant
	if g.Context != q.Context || g.Operation&q.Operation == 0 || (g.Effect == Allow) != e.Allowed {
		t.Fatalf("Explain(%+v) names a grant about something else: %s", q, e)
	}
	if !oracleResource(g) {
		if e.Reason != Denied {
			t.Fatalf("Explain(%+v) names a grant that is not valid: %s", q, e)
		}
		return
	}
	f, ok := o.filter(g)
	compare := oracleCovers
	if e.Reason == DeniedInPart {
		compare = oracleOverlaps
	}
	if !ok || !asked(q, compare, f, e.Name) {
		t.Fatalf("Explain(%+v) names a grant that does not match: %s", q, e)
	}
}

func TestCoversGrantAnswersAsTheOracle(t *testing.T) {
	seen := make(map[bool]int)
	rapid.Check(t, func(t *rapid.T) {
		o := genOracle().Draw(t, "principal")
		p := Compile(inSets(t, o.src))
		for _, g := range rapid.SliceOfN(genGrant(), 50, 50).Draw(t, "grants") {
			want := o.coversGrant(g)
			seen[want]++
			if got := p.CoversGrant(g); got != want {
				t.Fatalf("CoversGrant(%s) = %v, want %v", g, got, want)
			}
		}
	})
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("the answers were %v: the generators miss one", seen)
	}
}

// TestCoverIsSafe is what CoversGrant is for: whoever is given a grant that the
// giver covers can do nothing that the giver cannot.
func TestCoverIsSafe(t *testing.T) {
	asked := 0
	rapid.Check(t, func(t *rapid.T) {
		giver := genOracle().Draw(t, "giver")
		taker := genOracle().Draw(t, "taker")
		giver.src.Prefix, taker.src.Prefix = "", ""
		p := Compile(giver.src)
		var given []Grant
		for _, g := range taker.src.Grants {
			if p.CoversGrant(g) {
				given = append(given, g)
			}
		}
		taker.src.Grants = given
		q := Compile(taker.src)
		pn, qn := p.Names(giver.clientID, giver.certCN), q.Names(taker.clientID, taker.certCN)
		for _, question := range rapid.SliceOfN(genQuestion(taker), 50, 50).Draw(t, "questions") {
			if q.may(&qn, question) {
				asked++
				if !p.may(&pn, question) {
					t.Fatalf("the taker may, the giver may not: %+v", question)
				}
			}
		}
	})
	if asked == 0 {
		t.Error("no taker was ever allowed anything")
	}
}
