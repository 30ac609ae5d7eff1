package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// proxy stands between the fleet and the queue. It fails, answers late or in
// part, and notes what it answered the fleet.
type proxy struct {
	target string
	client *http.Client
	calm   atomic.Bool // no more faults
	down   atomic.Bool // an outage: nothing answers

	mu      sync.Mutex
	message map[string]string // receipt handle → message id
	deleted map[string]int64  // message id → when an acknowledged delete was answered
	handed  map[string]int64  // message id → when a worker last received it
	faults  map[string]int
}

func newProxy(target string) *proxy {
	return &proxy{
		target: target, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		message: map[string]string{}, deleted: map[string]int64{}, handed: map[string]int64{}, faults: map[string]int{},
	}
}

func (p *proxy) listen() (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), func() { _ = srv.Close(); p.client.CloseIdleConnections() }, nil
}

func (p *proxy) fault(name string, perMille int) bool {
	if p.calm.Load() || rand.IntN(1000) >= perMille {
		return false
	}
	p.mu.Lock()
	p.faults[name]++
	p.mu.Unlock()
	return true
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	if p.down.Load() || p.fault("connection cut before the request", 5) {
		cut(w)
		return
	}
	if p.fault("500", 5) {
		refuse(w, http.StatusInternalServerError, "com.amazonaws.sqs#InternalError")
		return
	}
	if p.fault("throttled", 5) {
		refuse(w, http.StatusBadRequest, "com.amazonaws.sqs#RequestThrottled")
		return
	}
	if p.fault("late request", 10) {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
	}
	var failed []map[string]any
	if strings.HasSuffix(op, "Batch") && p.fault("partial batch failure", 50) {
		body, failed = spoil(body)
	}
	res, answer, err := p.forward(r, body)
	if err != nil {
		cut(w)
		return
	}
	if len(failed) > 0 {
		answer = merge(answer, failed)
	}
	if p.fault("late answer", 10) {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
	}
	if p.fault("connection cut before the answer", 5) {
		cut(w)
		return
	}
	p.note(op, body, answer, res.StatusCode)
	for name, values := range res.Header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(answer)
}

func (p *proxy) forward(r *http.Request, body []byte) (*http.Response, []byte, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Content-Length")
	out.Host = r.Host
	res, err := p.client.Do(out)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": "planned"})
}

// spoil takes a random part of a batch's entries out of the request.
func spoil(body []byte) ([]byte, []map[string]any) {
	var req map[string]any
	if err := json.Unmarshal(body, &req); err != nil {
		return body, nil
	}
	entries, _ := req["Entries"].([]any)
	var kept []any
	var failed []map[string]any
	for _, e := range entries {
		entry, ok := e.(map[string]any)
		if ok && len(entries)-len(failed) > 1 && rand.IntN(2) == 0 {
			failed = append(failed, map[string]any{"Id": entry["Id"], "Code": "InternalError", "Message": "planned", "SenderFault": false})
			continue
		}
		kept = append(kept, e)
	}
	req["Entries"] = kept
	spoilt, err := json.Marshal(req)
	if err != nil {
		return body, nil
	}
	return spoilt, failed
}

func merge(answer []byte, failed []map[string]any) []byte {
	var res map[string]any
	if err := json.Unmarshal(answer, &res); err != nil {
		return answer
	}
	old, _ := res["Failed"].([]any)
	for _, f := range failed {
		old = append(old, f)
	}
	res["Failed"] = old
	merged, err := json.Marshal(res)
	if err != nil {
		return answer
	}
	return merged
}

// note remembers which message a receipt handle is of, and which deletes the
// fleet is about to learn of.
func (p *proxy) note(op string, body, answer []byte, status int) {
	if status != http.StatusOK {
		return
	}
	var req struct {
		Entries []struct{ Id, ReceiptHandle string }
	}
	var res struct {
		Messages   []struct{ MessageId, ReceiptHandle string }
		Successful []struct{ Id string }
	}
	if json.Unmarshal(body, &req) != nil || json.Unmarshal(answer, &res) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range res.Messages {
		p.message[m.ReceiptHandle] = m.MessageId
		p.handed[m.MessageId] = time.Now().UnixNano()
	}
	if op != "DeleteMessageBatch" {
		return
	}
	handles := map[string]string{}
	for _, e := range req.Entries {
		handles[e.Id] = e.ReceiptHandle
	}
	for _, s := range res.Successful {
		id := p.message[handles[s.Id]]
		if _, ok := p.deleted[id]; !ok && id != "" {
			p.deleted[id] = time.Now().UnixNano()
		}
	}
}
