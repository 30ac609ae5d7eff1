package poller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// refuse answers a batch request as SQS does that refuses those entries which
// which picks, and does the others.
func refuse(body []byte, next func([]byte) (*http.Response, error), senderFault bool, code string, which func(id string) bool) (*http.Response, error) {
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var kept, failed []any
	for _, e := range in["Entries"].([]any) {
		id := e.(map[string]any)["Id"].(string)
		if which(id) {
			failed = append(failed, map[string]any{"Id": id, "Code": code, "SenderFault": senderFault, "Message": "by the test"})
		} else {
			kept = append(kept, e)
		}
	}
	out := map[string]any{"Successful": []any{}, "Failed": []any{}}
	if len(kept) > 0 {
		in["Entries"] = kept
		again, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		resp, err := next(again)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, err
		}
	}
	before, _ := out["Failed"].([]any)
	out["Failed"] = append(before, failed...)
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return respond(http.StatusOK, string(answer)), nil
}

// isBatch reports whether op is a batch operation.
func isBatch(op string) bool {
	return slices.Contains([]string{"DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"}, op)
}

// flaky fails a share of all calls, half of them after the queue has done what
// was asked, and of the batches a share in one entry.
func flaky(calls, partial float64) fault {
	return func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
		switch p := rand.Float64(); {
		case p < calls/2:
			return unavailable()
		case p < calls && op != "ReceiveMessage": // what a receive loses hangs until its visibility ends: not this test's concern
			if resp, err := next(body); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			return nil, io.ErrUnexpectedEOF
		case isBatch(op) && p < calls+partial:
			n := bytes.Count(body, []byte(`"Id":`))
			unlucky := rand.N(max(n, 1))
			i := -1
			return refuse(body, next, false, "InternalError", func(string) bool { i++; return i == unlucky })
		}
		return next(body)
	}
}

// Handle panics on the records of the test.
func (p *panicky) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == p.on && p.n.Add(-1) >= 0 {
		panic("by the test")
	}
	return nil
}

func (p *panicky) Enabled(context.Context, slog.Level) bool { return true }
func (p *panicky) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p *panicky) WithGroup(string) slog.Handler            { return p }

// counting is a log handler that counts.
type counting struct {
	slog.Handler
	n *atomic.Int32
}

func (c counting) Enabled(context.Context, slog.Level) bool  { return true }
func (c counting) Handle(context.Context, slog.Record) error { c.n.Add(1); return nil }
func (c counting) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c counting) WithGroup(string) slog.Handler             { return c }

func timeout(d time.Duration) rigOption {
	return with(func(s *poller.Settings) { s.TaskTimeout = d })
}

// only lets a fault see one operation.
func only(op string, f fault) fault {
	return func(o string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
		if o != op {
			return next(body)
		}
		return f(o, body, next)
	}
}

func down(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
	return unavailable()
}

// Operations of the queue.
const (
	changes = "ChangeMessageVisibilityBatch"
	deletes = "DeleteMessageBatch"
	receive = "ReceiveMessage"
)
