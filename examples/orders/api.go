package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
)

// routes are the API.
func (s *shop) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /orders", handler(s.placeOrder))
	mux.Handle("GET /orders", handler(s.listOrders))
	mux.Handle("GET /orders/{id}", handler(s.showOrder))
	mux.Handle("POST /orders/{id}/cancel", handler(s.cancelOrder))
	return mux
}

// placeOrder keeps an order, and has it charged by a task. A request that comes again
// with its Idempotency-Key gets the order that is there.
func (s *shop) placeOrder(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > 128 {
		return &Problem{Status: http.StatusBadRequest,
			Detail: "The header Idempotency-Key is missing or longer than 128 characters. " +
				"Send a new one, for example a UUID, for each order, and the same one when you try again."}
	}
	draft, err := readDraft(w, r)
	if err != nil {
		return err
	}
	order, fresh, err := s.store.Place(r.Context(), key, draft)
	if errors.Is(err, errKeyUsed) {
		return &Problem{Status: http.StatusUnprocessableEntity,
			Detail: "This Idempotency-Key belongs to another order. Send a new one."}
	}
	if err != nil {
		return err
	}
	s.sendNow(r.Context(), order)
	w.Header().Set("Location", "/orders/"+order.ID)
	if !fresh {
		return writeJSON(w, http.StatusOK, order)
	}
	slog.InfoContext(r.Context(), "an order is placed", "order", order.ID, "cents", order.Cents)
	return writeJSON(w, http.StatusCreated, order)
}

// readDraft reads the body of a request.
func readDraft(w http.ResponseWriter, r *http.Request) (d Draft, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return d, &Problem{Status: http.StatusUnsupportedMediaType, Detail: "Send application/json as Content-Type."}
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	body.DisallowUnknownFields()
	if err = body.Decode(&d); err == nil {
		if _, err = body.Token(); err == io.EOF {
			err = nil
		} else if err == nil {
			err = errors.New("there is more after the order")
		}
	}
	if err != nil {
		return d, &Problem{Status: http.StatusBadRequest, Detail: "The body is not an order: " + err.Error()}
	}
	if wrong := d.Check(); len(wrong) > 0 {
		return d, &Problem{Status: http.StatusUnprocessableEntity, Detail: "The order has mistakes.", Errors: wrong}
	}
	return d, nil
}

func (s *shop) showOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := s.store.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return problemOf(err)
	}
	return writeJSON(w, http.StatusOK, order)
}

// listOrders lists orders, the oldest first. The field next is the query parameter after
// of the next page.
func (s *shop) listOrders(w http.ResponseWriter, r *http.Request) error {
	query, limit := r.URL.Query(), 50
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return &Problem{Status: http.StatusBadRequest, Detail: "limit: want 1 to 200."}
		}
		limit = n
	}
	status := Status(query.Get("status"))
	switch status {
	case "", Placed, Paid, Declined, Cancelled:
	default:
		return &Problem{Status: http.StatusBadRequest, Detail: "status: want placed, paid, declined or cancelled."}
	}
	orders, err := s.store.List(r.Context(), status, query.Get("after"), limit)
	if err != nil {
		return err
	}
	next := ""
	if len(orders) == limit {
		next = orders[limit-1].ID
	}
	return writeJSON(w, http.StatusOK, struct {
		Orders []Order `json:"orders"`
		Next   string  `json:"next,omitempty"`
	}{orders, next})
}

// cancelOrder cancels an order. It may be asked again.
func (s *shop) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := s.store.Cancel(r.Context(), r.PathValue("id"))
	if err != nil {
		return problemOf(err)
	}
	if order.Status != Cancelled {
		return &Problem{Status: http.StatusConflict, Detail: "The order is " + string(order.Status) + "."}
	}
	s.sendNow(r.Context(), order)
	return writeJSON(w, http.StatusOK, order)
}

func problemOf(err error) error {
	if errors.Is(err, errNoOrder) {
		return &Problem{Status: http.StatusNotFound, Detail: "There is no order with this id."}
	}
	return err
}
