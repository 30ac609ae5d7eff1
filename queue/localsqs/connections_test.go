package localsqs_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestHostileConnectionsAreBounded(t *testing.T) {
	srv := newServer(t, localsqs.MaxConnections(8))
	url := listen(t, srv)
	host := strings.TrimPrefix(url, "http://")
	var open []net.Conn
	for range 8 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	more, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(more); len(b) != 0 {
		t.Errorf("one connection too many was served: %q, %v", b, err)
	}
	_ = more.Close()
	if got := srv.Stats().Connections; got.Open != 8 || got.Refused != 1 {
		t.Errorf("connections %+v, want 8 open and 1 refused", got)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for srv.Stats().Connections.Open > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("closed connections are counted still: %+v", srv.Stats().Connections)
		}
		time.Sleep(time.Millisecond) // sockets are outside of a synctest bubble
	}
	if status, _, text := post(t, url, "", listQueues, "{}"); status != 200 {
		t.Errorf("after the others have left: %d %s", status, text)
	}
	if _, err := localsqs.New(localsqs.MaxConnections(0)); err == nil {
		t.Error("no connections at all are taken as an option")
	}
}
