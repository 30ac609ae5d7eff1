package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// newAPI serves the service's API over HTTP, in real time.
func newAPI(t *testing.T) (*service, *httptest.Server) {
	t.Helper()
	s := newService(t, nil)
	server := httptest.NewServer(s.api)
	t.Cleanup(server.Close)
	return s, server
}

func post(t *testing.T, server *httptest.Server, path, kind, key, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Idempotency-Key", key)
	return do(t, server, r)
}

func get(t *testing.T, server *httptest.Server, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, server, r)
}

func do(t *testing.T, server *httptest.Server, r *http.Request) (int, string) {
	t.Helper()
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestARequestWithAMistakeSaysWhatItIs(t *testing.T) {
	_, server := newAPI(t)
	const kind = "application/json"
	items := func(item string) string { return `{"customer": "ann@example.org", "items": [` + item + `]}` }
	for name, test := range map[string]struct {
		kind, key, body string
		status          int
		want            string
	}{
		"no key":        {kind, "", tea, 400, "The header Idempotency-Key is missing"},
		"a long key":    {kind, strings.Repeat("k", 129), tea, 400, "Idempotency-Key"},
		"an odd key":    {kind, "k\xff", tea, 400, "Idempotency-Key"},
		"not JSON":      {"text/plain", "k", tea, 415, "application/json"},
		"half a body":   {kind, "k", tea[:30], 400, "unexpected EOF"},
		"two orders":    {kind, "k", tea + tea, 400, "there is more after the value"},
		"a wrong name":  {kind, "k", `{"custommer": "ann@example.org"}`, 400, `unknown field \"custommer\"`},
		"a wrong type":  {kind, "k", items(`{"sku": "tea", "quantity": "2"}`), 400, "quantity of type int"},
		"a large body":  {kind, "k", items(`{"sku": "` + strings.Repeat("x", 70_000) + `"}`), 413, "more than 65536 bytes"},
		"no items":      {kind, "k", items(""), 422, `{"field":"items","detail":"there are 0, want 1 to 100"}`},
		"no customer":   {kind, "k", `{"items": [{"sku": "tea", "quantity": 1, "cents": 1}]}`, 422, `"field":"customer"`},
		"two addresses": {kind, "k", `{"customer": "a@b.c, d@e.f"}`, 422, `"field":"customer"`},
		"no sku":        {kind, "k", items(`{"quantity": 1, "cents": 1}`), 422, `"field":"items[0].sku"`},
		"a quantity of 0": {kind, "k", items(`{"sku": "tea", "cents": 1}`), 422,
			`{"field":"items[0].quantity","detail":"it is 0, want 1 to 1000"}`},
		"negative cents":  {kind, "k", items(`{"sku": "tea", "quantity": 1, "cents": -1}`), 422, `"field":"items[0].cents"`},
		"the second item": {kind, "k", items(`{"sku": "tea", "quantity": 1, "cents": 1}, {}`), 422, `"field":"items[1].sku"`},
	} {
		status, text := post(t, server, "/orders", test.kind, test.key, test.body)
		var p struct {
			Status    int
			RequestID string `json:"request_id"`
		}
		err := json.Unmarshal([]byte(text), &p)
		if status != test.status || !strings.Contains(text, test.want) || err != nil || p.Status != status || p.RequestID == "" {
			t.Errorf("%s: %d %s (%v), want %d with %q", name, status, text, err, test.status, test.want)
		}
	}
	for path, want := range map[string]int{"/orders/unknown": 404, "/orders?limit=0": 400, "/orders?limit=x": 400,
		"/orders?status=unknown": 400, "/nothing": 404, "/orders/%00": 404, "/orders?after=%ff": 400} {
		if status, text := get(t, server, path); status != want {
			t.Errorf("GET %s: %d %s, want %d", path, status, text, want)
		}
	}
	if status, text := post(t, server, "/orders/unknown/cancel", kind, "", ""); status != 404 {
		t.Errorf("to cancel an unknown order: %d %s", status, text)
	}
	if _, text := get(t, server, "/orders"); text != `{"orders":[]}`+"\n" {
		t.Errorf("a mistake left something behind: %s", text)
	}
}

func TestAnOrderIsPlacedOnceForItsKey(t *testing.T) {
	s, server := newAPI(t)
	const clients = 8
	var all sync.WaitGroup
	answers := make(chan string, clients)
	created := make(chan int, clients)
	for range clients {
		all.Go(func() {
			status, text := post(t, server, "/orders", "application/json; charset=utf-8", "one key", tea)
			var o Order
			if err := json.Unmarshal([]byte(text), &o); err != nil || status != 200 && status != 201 {
				t.Errorf("%d %s: %v", status, text, err)
			}
			answers <- o.ID
			created <- status
		})
	}
	all.Wait()
	ids, first := map[string]bool{}, 0
	for range clients {
		ids[<-answers] = true
		if <-created == http.StatusCreated {
			first++
		}
	}
	if len(ids) != 1 || first != 1 {
		t.Errorf("there are %d orders, %d times created", len(ids), first)
	}
	status, text := post(t, server, "/orders", "application/json", "one key", declined)
	if status != 422 || !strings.Contains(text, "another order") {
		t.Errorf("the key with another order: %d %s", status, text)
	}
	s.RunUntilIdle()
	if books := s.gateway.Books(); len(books.Charged) != 1 {
		t.Errorf("%d orders are charged", len(books.Charged))
	}
}

func TestListsHavePages(t *testing.T) {
	s, server := newAPI(t)
	var want []string
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		want = append(want, s.place(key, tea).ID)
	}
	var got []string
	for path := "/orders?limit=2&status=placed"; path != ""; {
		status, text := get(t, server, path)
		var page struct {
			Orders []Order
			Next   string
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != 200 || len(page.Orders) > 2 {
			t.Fatalf("GET %s: %d %s: %v", path, status, text, err)
		}
		for _, o := range page.Orders {
			got = append(got, o.ID)
		}
		if path = ""; page.Next != "" {
			path = "/orders?limit=2&status=placed&after=" + page.Next
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the pages have\n%v, want\n%v", got, want)
	}
}
