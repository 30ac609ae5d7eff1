package localsqs_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/queue/localsqs"
)

// Three hundred requests of 8 MiB have a wrong signature, which can be known only
// once the body is there.
func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	const requests, size = 300, 8 << 20
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	host := strings.TrimPrefix(url, "http://")
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	statuses := map[string]int{}
	var mu sync.Mutex
	grown := heapDuring(func() {
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				conn, err := net.Dial("tcp", host)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close() //nolint:errcheck // nothing is left to be sent
				_, _ = io.WriteString(conn, plausible(host, size))
				for sent := 0; sent < size; sent += len(chunk) {
					if _, err := conn.Write(chunk); err != nil {
						break
					}
				}
				answer := make([]byte, 12)
				_, _ = io.ReadFull(conn, answer)
				mu.Lock()
				statuses[string(answer)]++
				mu.Unlock()
			})
		}
		all.Wait()
	})
	t.Logf("the heap grew by %d MiB; the answers were %v", grown>>20, statuses)
	if grown > 128<<20 {
		t.Errorf("the heap grew by %d MiB, want at most 128", grown>>20)
	}
	if statuses["HTTP/1.1 200"] > 0 || statuses["HTTP/1.1 403"] == 0 {
		t.Errorf("the answers were %v, want refusals", statuses)
	}
}

// Six hundred connections hold a request without its body; others are
// served all the while, with a large body too.
func TestHostileBodiesThatNeverComeLockNobodyOut(t *testing.T) {
	srv := newServer(t, localsqs.Credentials("id", "secret"))
	url := listen(t, srv)
	host := strings.TrimPrefix(url, "http://")
	part := strings.Repeat("x", 32<<10)
	for range 600 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing was to come
		if _, err := io.WriteString(conn, plausible(host, 8<<20)+part); err != nil {
			t.Fatal(err)
		}
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := signedClient(t, url, transport)
	queue := createQueue(t, client, "jobs", nil)
	send(t, client, queue, strings.Repeat("y", 1<<20))
	for range 100 {
		status, _, _ := do(t, probe(t, url+"/-/health"))
		if status != http.StatusOK {
			t.Fatalf("a probe got %d", status)
		}
	}
}

// A refused request does not hold its connection by sending on for ever.
func TestHostileSenderIsCutOffAfterItsRefusal(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server has ended it
	began := time.Now()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if took := time.Since(began); !strings.HasPrefix(string(answer), "HTTP/1.1 403") || !strings.Contains(string(answer), "Connection: close") || took > 15*time.Second {
		t.Errorf("after %v: %v %.200s", took, err, answer)
	}
}
