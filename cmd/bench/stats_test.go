package main

import (
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sorted []float64
		q      float64
		want   float64
	}{
		{"one value is every quantile", []float64{7}, 0.99, 7},
		{"the median of an odd number is the middle one", []float64{1, 2, 9}, 0.5, 2},
		{"the median of an even number lies between the middle two", []float64{1, 2, 4, 9}, 0.5, 3},
		{"the last is all of it", []float64{1, 2, 9}, 1, 9},
		{"the first is none of it", []float64{1, 2, 9}, 0, 1},
		{"in between in proportion", []float64{0, 10, 20, 30, 40}, 0.9, 36},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := quantile(tt.sorted, tt.q); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSpreadOfLeavesItsInputAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	if got, want := spreadOf(values), (spread{median: 2, low: 1, high: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("the values became %v", values)
	}
}

// The machine is twice as slow in the second round: ratios of the same round do
// not show it, the ratio of the medians would.
func TestPairwiseComparesWithinARound(t *testing.T) {
	bare, ours := []float64{10, 20, 10}, []float64{11, 22, 12}
	if got, want := spreadOf(pairwise(bare, ours, ratio)), (spread{1.1, 1.1, 1.2}); got != want {
		t.Errorf("ratios: got %+v, want %+v", got, want)
	}
	if got, want := pairwise(bare, ours, difference), []float64{1, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("differences: got %v, want %v", got, want)
	}
	if got, want := minus(ours, 1), []float64{10, 21, 11}; !slices.Equal(got, want) {
		t.Errorf("minus: got %v, want %v", got, want)
	}
}
