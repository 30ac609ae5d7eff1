package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis/server/grpcserver"
)

func TestALineACall(t *testing.T) {
	var next error
	r := start(t, &api{place: func(context.Context, string) (string, error) { return "", next }, feed: echo().feed}, nil)
	n := 0
	for _, c := range []struct {
		err         error
		code, level string
	}{
		{nil, "OK", "INFO"},
		{status.Error(codes.NotFound, "no such order"), "NOT_FOUND", "INFO"},
		{fmt.Errorf("wrapped: %w", status.Error(codes.FailedPrecondition, "paid")), "FAILED_PRECONDITION", "INFO"},
		{errors.New("the disk is full"), "UNKNOWN", "ERROR"},
		{status.Error(codes.Internal, "broken"), "INTERNAL", "ERROR"},
		{status.Error(codes.Unavailable, "later"), "UNAVAILABLE", "ERROR"},
		{context.DeadlineExceeded, "DEADLINE_EXCEEDED", "WARN"},
		{status.Error(codes.Code(99), "made up"), "_OTHER", "INFO"},
	} {
		next = c.err
		_, err := call(t.Context(), r.conn, "")
		if (err == nil) != (c.err == nil) {
			t.Errorf("%v: the client got %v", c.err, err)
		}
		n++
		line := r.last(n)
		if line["code"] != c.code || line["level"] != c.level || line["method"] != "orders.v1.Orders/Place" ||
			line["remote"] != "127.0.0.1" || line["job_name"] != "orders.v1.Orders/Place" || line["duration"] == nil {
			t.Errorf("%v: %v", c.err, line)
		}
		if text, _ := line["error"].(string); c.err != nil && !strings.Contains(text, c.err.Error()) {
			t.Errorf("%v: the line has the error %q", c.err, text)
		}
	}
	stream, err := open(t.Context(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(wrapperspb.String("a")), stream.RecvMsg(new(wrapperspb.StringValue))); err != nil {
		t.Fatal(err)
	}
	if line := r.last(n + 1); fmt.Sprint(line["received"], line["sent"]) != "1 1" {
		t.Errorf("of a stream: %v", line)
	}
	if _, err := r.check(""); err != nil {
		t.Fatal(err)
	}
	err = r.conn.Invoke(t.Context(), "/evil/path", wrapperspb.String(""), new(wrapperspb.StringValue))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("of an unknown method: %v", err)
	}
	line := r.last(n + 2) // the health service has no line
	if line["method"] != "_OTHER" || line["code"] != "UNIMPLEMENTED" || !strings.Contains(fmt.Sprint(line["path"]), "/evil/") {
		t.Errorf("of an unknown method: %v", line)
	}
}

func TestACallerThatHasGone(t *testing.T) {
	entered := make(chan struct{})
	r := start(t, &api{place: func(ctx context.Context, _ string) (string, error) {
		close(entered)
		<-ctx.Done()
		return "", ctx.Err()
	}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, err := call(ctx, r.conn, ""); status.Code(err) != codes.Canceled {
		t.Errorf("the client got %v", err)
	}
	if line := r.last(1); line["aborted"] != "client" || line["code"] != "CANCELLED" || line["level"] != "INFO" {
		t.Errorf("the line is %v", line)
	}
}

func TestTheServiceChoosesLines(t *testing.T) {
	var seen []grpcserver.Call
	r := start(t, echo(), nil, grpcserver.WithLevel(func(c *grpcserver.Call) slog.Level {
		seen = append(seen, *c)
		switch len(seen) {
		case 1:
			return grpcserver.NoLine
		case 2:
			panic("of the service's own")
		}
		return slog.LevelError
	}))
	for range 3 {
		if _, err := call(t.Context(), r.conn, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if line := r.last(2); line["level"] != "ERROR" {
		t.Errorf("the last line is %v", line)
	}
	if len(r.records("the function of WithLevel panicked")) != 1 || seen[0].Method != "orders.v1.Orders/Place" ||
		seen[0].ID == "" || seen[0].Code != codes.OK {
		t.Errorf("seen: %+v", seen)
	}
	sampled := start(t, echo(), nil, grpcserver.WithSample(3))
	for range 6 {
		if _, err := call(t.Context(), sampled.conn, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if line := sampled.last(2); fmt.Sprint(line["fields.sampled"]) != "3" {
		t.Errorf("of a sample: %v", line)
	}
}
