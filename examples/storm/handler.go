package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sambatech/chassis/task"
)

// Order is charged once, whatever happens to the processes that work on it.
type Order struct {
	ID    int `json:"id"`
	Cents int `json:"cents"`
}

// Charge is the task that charges an order.
var Charge = task.Define[Order]("charge", task.Wait(5*time.Second, task.None), task.Deadline(30*time.Second))

// wrong charges an order. It looks right, passes its tests, and charges some customers
// twice: a process can die after the request and before its message is deleted.
func wrong(bank *http.Client) task.Handler[Order] {
	return func(ctx context.Context, job task.Job[Order]) error {
		return charge(ctx, bank, job.Args, "")
	}
}

// right gives the bank a key that is the same in every run of the task. The bank books a
// key once.
func right(bank *http.Client) task.Handler[Order] {
	return func(ctx context.Context, job task.Job[Order]) error {
		return charge(ctx, bank, job.Args, job.ExecID)
	}
}

func charge(ctx context.Context, bank *http.Client, o Order, key string) error {
	body := fmt.Sprintf(`{"order": %d, "cents": %d}`, o.ID, o.Cents)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://bank.test/charges", strings.NewReader(body))
	if err != nil {
		return err
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := bank.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return errors.New("the bank answered " + res.Status)
	}
	return nil
}
