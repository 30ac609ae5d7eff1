package grpcserver_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/server/grpcserver"
)

// A mistake is an error of the start, before anything runs.
func TestMistakesAreErrorsOfTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		add  func(sys grpcserver.System)
		want string
	}{
		{"a port in use", func(sys grpcserver.System) { grpcserver.Add(sys, taken.Addr().String()) }, "another Addr"},
		{"no address", func(sys grpcserver.System) { grpcserver.Add(sys, "") }, "no address"},
		{"no listener", func(sys grpcserver.System) { grpcserver.AddOn(sys, nil) }, "listener is nil"},
		{"limits", func(sys grpcserver.System) {
			grpcserver.Add(sys, "127.0.0.1:0", grpcserver.WithShedding(server.Limits{Tolerance: 0.5}))
		}, "Tolerance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sys, _ := newService(t, nil)
			c.add(sys)
			if err := sys.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "grpc") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// gRPC itself ends the process for both.
func TestRegisteringTooLateOrTwicePanics(t *testing.T) {
	r := start(t, echo(), nil)
	sys, _ := newService(t, nil)
	twice := grpcserver.Add(sys, "127.0.0.1:0")
	twice.RegisterService(&desc, echo())
	for want, srv := range map[string]*grpcserver.Server{"has started": r.srv, "already": twice} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) || !strings.Contains(text, "orders.v1.Orders") {
					t.Errorf("the panic is %q", text)
				}
			}()
			srv.RegisterService(&desc, echo())
		}()
	}
}

func TestListenersAndOptions(t *testing.T) {
	sys, log := newService(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	unix := grpcserver.Add(sys, "unix:"+path, grpcserver.WithPart(parts.Named("orders api")),
		grpcserver.WithGRPC(grpc.MaxRecvMsgSize(100)))
	unix.RegisterService(&desc, echo())
	reflection.Register(unix)
	memory := bufconn.Listen(1 << 16)
	second := grpcserver.AddOn(sys, memory)
	second.RegisterService(&desc, echo())
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := unix.Detail(); got != "grpc on "+path {
		t.Errorf("the page shows %q", got)
	}
	r := &running{t: t, sys: sys, srv: unix, log: log}
	if _, ok := unix.GetServiceInfo()["grpc.reflection.v1.ServerReflection"]; !ok {
		t.Error("reflection is not registered")
	}
	dial := func(target string, opts ...grpc.DialOption) *grpc.ClientConn {
		conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	conn := dial("unix:" + path)
	if got, err := call(t.Context(), conn, "x"); got != "x" || err != nil {
		t.Errorf("by the unix socket: %q, %v", got, err)
	}
	if _, err := call(t.Context(), conn, strings.Repeat("x", 200)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an option of gRPC has no effect: %v", err)
	}
	inMemory := dial("passthrough:///memory", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return memory.DialContext(ctx)
	}))
	if got, err := call(t.Context(), inMemory, "x"); got != "x" || err != nil {
		t.Errorf("in memory: %q, %v", got, err)
	}
	_, err := r.stop()
	if err != nil {
		t.Error(err)
	}
}

// What strangers send to the port ends their connection, and nothing else.
func TestGarbageAtThePort(t *testing.T) {
	t.Parallel() // it waits in real time
	r := start(t, echo(), nil)
	for _, first := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		strings.Repeat("\x00\xff", 4096),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // the begin of TLS
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 1024),
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + strings.Repeat("\x00\x00\x08\x06\x00\x00\x00\x00\x00AAAAAAAA", 1000),
	} {
		c := r.silent(first)
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for buf := make([]byte, 4096); ; {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
	}
	for name, md := range map[string]metadata.MD{
		"huge": {"x-request-id": {strings.Repeat("a", 100<<10)}},
		"many": func() metadata.MD {
			md := metadata.MD{}
			for range 4000 {
				md.Append("x-stranger", strings.Repeat("b", 20))
			}
			return md
		}(),
	} {
		conn := r.dial()
		_, err := call(metadata.NewOutgoingContext(t.Context(), md), conn, "")
		if code := status.Code(err); code == codes.OK {
			t.Errorf("%s metadata was taken", name)
		}
	}
	if got, err := call(t.Context(), r.conn, "on"); got != "on" || err != nil {
		t.Errorf("the next call: %q, %v", got, err)
	}
	if took, err := r.stop(); err != nil || took > 5*time.Second {
		t.Errorf("the stop took %v: %v", took, err)
	}
}

// Metadata over the bound ends its call and nothing else: the next call on the connection works.
func TestHugeMetadata(t *testing.T) {
	r := start(t, echo(), nil)
	huge := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", strings.Repeat("a", 1<<20))
	if _, err := call(huge, r.conn, "17"); err == nil {
		t.Error("1 MiB of metadata is taken")
	}
	many := t.Context()
	for i := range 5000 {
		many = metadata.AppendToOutgoingContext(many, fmt.Sprint("x-", i), "value")
	}
	if _, err := call(many, r.conn, "17"); err == nil {
		t.Error("5000 metadata are taken")
	}
	if got, err := call(t.Context(), r.conn, "17"); err != nil || got != "17" {
		t.Errorf("the next call: %q, %v", got, err)
	}
}
