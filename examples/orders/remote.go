package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/sambatech/chassis/task"
)

// remote is another service, behind its breaker.
type remote struct {
	url    string
	client *http.Client
}

// The answers of a service that say no.
var (
	errDeclined = errors.New("declined")
	errRevoked  = errors.New("the order was refunded before")
)

// post asks the service to do something, once for each key however often it is asked.
func (r *remote) post(ctx context.Context, path, key string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := r.client.Do(req)
	if err != nil {
		return err // of an open breaker, it spends nothing of the task's budget
	}
	defer res.Body.Close()
	switch answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<10)); {
	case res.StatusCode == http.StatusPaymentRequired:
		return errDeclined
	case res.StatusCode == http.StatusConflict:
		return errRevoked
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("POST %s: %s: %s", path, res.Status, answer)
	case res.StatusCode >= 300:
		return task.Cancel(fmt.Errorf("POST %s: %s: %s", path, res.Status, answer)) // no retry can help
	default:
		return err // an answer that broke off
	}
}
