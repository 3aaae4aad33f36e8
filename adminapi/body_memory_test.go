package adminapi_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

// fill repeats item between open and shut, as often as fits into a mebibyte.
func fill(open string, item func(i int) string, shut string) string {
	var b strings.Builder
	b.WriteString(open)
	for i := 0; b.Len() < 1<<20-100; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item(i))
	}
	b.WriteString(shut)
	return b.String()
}

func always(item string) func(int) string { return func(int) string { return item } }

// Bodies of a mebibyte that would take a hundred times their size, were they decoded:
// a hundred of them at once take less than 100 MB.
func TestMemoryOfHostileBodies(t *testing.T) {
	api := apitest.New(t)
	url := api.Serve(adminapi.Server)
	bodies := map[string]string{
		"small objects":    fill(`{"a":[`, always(`{"b":1}`), `]}`),
		"empty objects":    fill(`{"initialPermissions":[`, always(`{}`), `]}`),
		"unknown keys":     fill(`{`, func(i int) string { return fmt.Sprintf(`"%x":1`, i) }, `}`),
		"numbers":          fill(`{"a":[`, always(`1`), `]}`),
		"strings":          fill(`{"roles":[`, always(`""`), `]}`),
		"empty arrays":     fill(`[`, always(`[]`), `]`),
		"keys in a list":   fill(`{"permissions":[{`, func(i int) string { return fmt.Sprintf(`"%x":1`, i) }, `}]}`),
		"as many as taken": `{"permissions":[` + strings.Repeat(`{},`, 24_000) + strings.Repeat(" ", 900_000) + `{}]}`,
		"deep":             strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19),
	}
	for name, body := range bodies {
		for _, endpoint := range []string{
			"POST /api/client-registry/register", "POST /api/users",
		} {
			t.Run(name+" to "+endpoint, func(t *testing.T) {
				method, path, _ := strings.Cut(endpoint, " ")
				peak, statuses := crowd(t, 100, func() (int, error) { return post(method, url+path, api.Admin, body) })
				for status, n := range statuses {
					switch status {
					case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable:
					default:
						t.Errorf("%d were answered %d", n, status)
					}
				}
				if peak > 100<<20 {
					t.Errorf("the heap grew by %d MiB, want less than 100 MB; answers: %v", peak>>20, statuses)
				}
			})
		}
	}
}

// post sends a body and returns the status of the answer, 0 if the server has hung up
// without waiting for all of it.
func post(method, url, token, body string) (int, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Expect", "100-continue")
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// crowd does f by so many at once. It returns by how much the heap grew meanwhile, in
// bytes, and how often each status came.
func crowd(t *testing.T, n int, f func() (int, error)) (peak int64, statuses map[int]int) {
	t.Helper()
	runtime.GC()
	before := heap()
	stop, watched := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			most = max(most, heap())
			select {
			case <-stop:
				watched <- most
				return
			case <-tick.C:
			}
		}
	}()
	statuses = make(map[int]int)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			status, err := f()
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stop)
	return <-watched - before, statuses
}

// heap returns the bytes of the heap that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
