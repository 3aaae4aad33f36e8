package acl

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestZZMin(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	m := map[string]uint32{}
	var ks []string
	var bs [][]byte
	for i := range 512 {
		k := fmt.Sprintf("line-%d", i)
		m[k] = uint32(i)
		ks = append(ks, fmt.Sprintf("line-%d", i))
		bs = append(bs, fmt.Appendf(nil, "line-%d        ", i))
	}
	var s uint32
	best := func(f func(i int)) float64 {
		min := time.Hour
		for range 3000 {
			t0 := time.Now()
			for i := range 128 {
				f(i)
			}
			if d := time.Since(t0); d < min {
				min = d
			}
		}
		return float64(min.Nanoseconds()) / 128
	}
	fmt.Printf("%-50s %.1f\n", "calibrate map", best(func(i int) { s += m[ks[i*3&511]] }))
	tn := plantNames(1000, "site1/line-%d/cell-%d/out/temp")
	fmt.Printf("%-50s %.1f\n", "scan", best(func(i int) { var l levels; l.read(topicForm, "", tn[i&63]) }))
	fmt.Printf("%-50s %.1f\n", "hash 8", best(func(i int) { s += uint32(keyOf(1, bs[i*3&511], 7)) }))
	for _, bm := range questions {
		for _, permissions := range []int{20, 1000} {
			p := Compile(plant(permissions, bm.prefix))
			n := p.Names("gw-7-1", "")
			names := plantNames(permissions, bm.format)
			fmt.Printf("%-50s %.1f\n", fmt.Sprintf("%s/%d", bm.name, permissions), best(func(i int) {
				if bm.ask(p, &n, names[i&63]) != bm.want {
					panic(names[i&63])
				}
			}))
		}
	}
	_ = s
}
