package framing

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// passed returns what the scanner lets pass of requests that come in pieces of a size,
// and whether that is all.
func passed(in []byte, size int) ([]byte, bool) {
	var s scanner
	for from := 0; from < len(in); from += size {
		piece := in[from:min(from+size, len(in))]
		if n, v := s.scan(piece); v != pass {
			return in[:from+n], false
		}
	}
	return in, true
}

// heads returns the heads of the requests that net/http reads, as they came.
func heads(in []byte) (all []string) {
	src := bytes.NewReader(in)
	r := bufio.NewReader(src)
	read := func() int { return len(in) - src.Len() - r.Buffered() }
	post := false
	for {
		if post { // as the server does
			for range 4 {
				if c, err := r.Peek(1); err == nil && (c[0] == '\r' || c[0] == '\n') {
					_, _ = r.Discard(1)
				}
			}
		}
		from := read()
		req, err := http.ReadRequest(r)
		if err != nil || req.ProtoMajor != 1 {
			return all
		}
		all = append(all, string(in[from:read()]))
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return all
		}
		post = req.Method == http.MethodPost
	}
}

// doubtful reports whether the end of a request could be taken for two places.
func doubtful(head string) bool {
	line, fields, _ := strings.Cut(head, "\n")
	has := func(name string) bool {
		for _, f := range strings.Split(fields, "\n") {
			if n, _, ok := strings.Cut(f, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
				return true
			}
		}
		return false
	}
	coded := has("Transfer-Encoding")
	return coded && (has("Content-Length") || strings.HasSuffix(strings.TrimSpace(line), "HTTP/1.0"))
}

// Of what the scanner lets pass, net/http reads no request whose end is in doubt, and it
// does not matter in which pieces it comes.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n\r\nPOST / HTTP/1.1\r\ncontent-length:1\r\ntransfer-encoding:chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nA:\r\n b\r\nContent-Length : 3\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nhi\r\n\r\nPRI * HTTP/2.0\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		got, whole := passed(in, len(in)+1)
		apart, wholeApart := passed(in, int(size)+1)
		if !bytes.Equal(got, apart) || whole != wholeApart {
			t.Errorf("got %q at once, %q in pieces of %d", got, apart, int(size)+1)
		}
		for _, head := range heads(got) {
			if doubtful(head) {
				t.Errorf("net/http reads %q", head)
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	in := []byte("POST /api/users HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nAuthorization: Bearer " +
		strings.Repeat("t", 300) + "\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n" + strings.Repeat("b", 200))
	var s scanner
	b.ReportAllocs()
	for b.Loop() {
		if n, v := s.scan(in); n != len(in) || v != pass {
			b.Fatal(n, v)
		}
	}
}
