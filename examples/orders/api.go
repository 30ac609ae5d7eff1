package main

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/server"
)

// routes are the API.
func (s *shop) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /orders", server.HandlerFunc(s.placeOrder))
	mux.Handle("GET /orders", server.HandlerFunc(s.listOrders))
	mux.Handle("GET /orders/{id}", server.HandlerFunc(s.showOrder))
	mux.Handle("POST /orders/{id}/cancel", server.HandlerFunc(s.cancelOrder))
	return mux
}

// refuse answers that a request has a mistake.
func refuse(status int, detail string) error { return &server.Problem{Status: status, Detail: detail} }

// placeOrder keeps an order, and has it charged by a task. A request that comes again
// with its Idempotency-Key gets the order that is there.
func (s *shop) placeOrder(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if !plain(key) {
		return refuse(http.StatusBadRequest, "The header Idempotency-Key is missing, or not 1 to 128 letters. "+
			"Send a new one, for example a UUID, for each order, and the same one when you try again.")
	}
	var draft Draft
	if err := server.ReadJSON(w, r, 64<<10, &draft); err != nil {
		return err
	}
	if wrong := draft.Check(); len(wrong) > 0 {
		return &server.Problem{Status: http.StatusUnprocessableEntity, Detail: "The order has mistakes.",
			More: map[string]any{"errors": wrong}}
	}
	order, fresh, err := s.store.Place(r.Context(), key, draft)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/orders/"+order.ID)
	if !fresh {
		return server.WriteJSON(w, http.StatusOK, order)
	}
	slog.InfoContext(r.Context(), "an order is placed", "order", order.ID, "cents", order.Cents)
	return server.WriteJSON(w, http.StatusCreated, order)
}

// plain reports whether a text is of 1 to 128 printable characters of ASCII. Of others,
// PostgreSQL refuses some: a stranger's mistake would be an error of the service.
func plain(text string) bool {
	other := func(r rune) bool { return r < ' ' || r > '~' }
	return text != "" && len(text) <= 128 && !strings.ContainsFunc(text, other)
}

func (s *shop) showOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := s.store.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return server.WriteJSON(w, http.StatusOK, order)
}

// listOrders lists orders, the oldest first. The field next is the query parameter after
// of the next page.
func (s *shop) listOrders(w http.ResponseWriter, r *http.Request) error {
	query, limit := r.URL.Query(), 50
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return refuse(http.StatusBadRequest, "limit: want 1 to 200.")
		}
		limit = n
	}
	after := query.Get("after")
	if after != "" && !plain(after) {
		return refuse(http.StatusBadRequest, "after: want what next was on the page before.")
	}
	status := Status(query.Get("status"))
	switch status {
	case "", Placed, Paid, Declined, Cancelled:
	default:
		return refuse(http.StatusBadRequest, "status: want placed, paid, declined or cancelled.")
	}
	orders, err := s.store.List(r.Context(), status, after, limit)
	if err != nil {
		return err
	}
	next := ""
	if len(orders) == limit {
		next = orders[limit-1].ID
	}
	return server.WriteJSON(w, http.StatusOK, struct {
		Orders []Order `json:"orders"`
		Next   string  `json:"next,omitempty"`
	}{orders, next})
}

// cancelOrder cancels an order. It may be asked again.
func (s *shop) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := s.store.Cancel(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if order.Status != Cancelled {
		return refuse(http.StatusConflict, "The order is "+string(order.Status)+".")
	}
	return server.WriteJSON(w, http.StatusOK, order)
}
