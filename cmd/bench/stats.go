package main

import "slices"

// spread is what several turns have shown: the middle, and how far they were
// apart.
type spread struct{ median, low, high float64 }

// spreadOf returns the spread of values, of which there is at least one.
func spreadOf(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	return spread{median: quantile(s, 0.5), low: s[0], high: s[len(s)-1]}
}

// quantile returns the value below which the share q of sorted lies, between two
// of them in proportion.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// pairwise returns f of what both sides showed in the same round.
func pairwise(a, b []float64, f func(a, b float64) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}

func ratio(a, b float64) float64 { return b / a }

func difference(a, b float64) float64 { return b - a }

// minus returns values less d each.
func minus(values []float64, d float64) []float64 {
	out := slices.Clone(values)
	for i := range out {
		out[i] -= d
	}
	return out
}
