package grpcserver

import (
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sambatech/chassis/server"
)

// pushback is the trailer by which gRPC's own retries of a client know how long to wait.
const pushback = "grpc-retry-pushback-ms"

// priorityOf returns the priority of a call: of its kind, of the service's function, or
// of its metadata as far as that is believed.
func (c *call) priorityOf() server.Priority {
	config := &c.s.config
	if c.method.probe {
		return server.Probe
	}
	p := server.Normal
	if config.priority != nil {
		p = config.priority(c.ctx, c.method.label)
	}
	if config.headerPriority != nil {
		if said, ok := parsePriority(only(c.ctx, priorityKey)); ok {
			p = min(said, *config.headerPriority)
		}
	}
	return p
}

func parsePriority(s string) (server.Priority, bool) {
	for p := server.Low; p <= server.Operator; p++ {
		if strings.EqualFold(s, p.String()) {
			return p, true
		}
	}
	return 0, false
}

// admit asks the limiter for a place, and answers the call if it has none.
func (c *call) admit(trailer func(metadata.MD) error) error {
	if c.priority = c.priorityOf(); c.priority != server.Normal && c.priority != server.Probe {
		c.ctx = server.WithRequestPriority(c.ctx, c.priority)
	}
	l := c.s.limiter
	if l == nil {
		return nil
	}
	var ok bool
	if c.place, ok = l.Admit(c.ctx, c.priority, c.method.class); ok {
		return nil
	}
	c.shed = true
	wait := l.RetryAfter()
	_ = trailer(metadata.Pairs(pushback, strconv.FormatInt(wait.Milliseconds(), 10))) // the status says it too
	busy := status.New(codes.Unavailable, "the server has as much work as it can do in time; try again later")
	if with, err := busy.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		busy = with
	}
	return busy.Err()
}
