package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A problem is answered as it is; another error is logged, and its text is not for strangers.
func TestHandlerFunc(t *testing.T) {
	log := newLines(t)
	fail := func(err error) http.HandlerFunc {
		return HandlerFunc(func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP
	}
	h := Middleware(log)(muxOf(map[string]http.HandlerFunc{
		"/secret": fail(errors.New("pq: password of user shop is hush")),
		"/taken": fail(fmt.Errorf("place: %w", &Problem{Status: 409, Type: "https://shop.test/taken", Title: "Taken",
			Detail: "Take another.", More: map[string]any{"errors": []string{"a"}, "status": 1}})),
		"/odd":  fail(&Problem{Status: 99, More: map[string]any{"f": func() {}}}),
		"/good": HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 201, []int{1}) }).ServeHTTP,
		"/bad":  HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 201, func() {}) }).ServeHTTP,
	}))
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/secret": {500, `{"detail":"the request has failed; its id is in the log","request_id":"r-1","status":500,` +
			`"title":"Internal Server Error","type":"about:blank"}`},
		"/taken": {409, `{"detail":"Take another.","errors":["a"],"request_id":"r-1","status":409,"title":"Taken",` +
			`"type":"https://shop.test/taken"}`},
		"/odd":  {500, `{"request_id":"r-1","status":500,"title":"Internal Server Error","type":"about:blank"}`},
		"/good": {201, `[1]`},
		"/bad": {500, `{"detail":"the request has failed; its id is in the log","request_id":"r-1","status":500,` +
			`"title":"Internal Server Error","type":"about:blank"}`},
	} {
		w := ask(h, "GET", path, "X-Request-Id", "r-1")
		if w.Code != want.status || strings.TrimSpace(w.Body.String()) != want.body {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := ask(h, "GET", "/taken", "Accept", "text/html"); w.Body.String() != "Taken: Take another.\n" {
		t.Errorf("as text: %q", w.Body)
	}
}

// An error after a part of the answer cuts the connection: the client would take the part for the whole.
func TestAnErrorAfterAPartOfTheAnswer(t *testing.T) {
	log := newLines(t)
	srv := httptest.NewServer(Middleware(log)(HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "a part")
		return errors.New("the rest is lost")
	})))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the client has a whole answer")
	}
}

func TestReadJSON(t *testing.T) {
	type order struct{ Tea int }
	for name, c := range map[string]struct {
		kind, body string
		status     int
		detail     string
	}{
		"good":          {"application/json; charset=utf-8", ` {"Tea": 2} `, 0, ""},
		"a kind of it":  {"application/merge-patch+json", `{"Tea": 2}`, 0, ""},
		"a form":        {"application/x-www-form-urlencoded", `Tea=2`, 415, "Send application/json"},
		"no kind":       {"", `{"Tea": 2}`, 415, "Send application/json"},
		"empty":         {"application/json", ``, 400, "EOF"},
		"unknown field": {"application/json", `{"Coffee": 1}`, 400, `unknown field "Coffee"`},
		"wrong type":    {"application/json", `{"Tea": "two"}`, 400, "cannot unmarshal string"},
		"two values":    {"application/json", `{"Tea": 2} {"Tea": 3}`, 400, "more after the value"},
		"garbage after": {"application/json", `{"Tea": 2} ]`, 400, "invalid character"},
		"too large":     {"application/json", `{"Tea": ` + strings.Repeat("1", 200) + `}`, 413, "more than 100 bytes"},
		"large spaces":  {"application/json", `{"Tea": 2}` + strings.Repeat(" ", 200), 413, "more than 100 bytes"},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		var got order
		err := ReadJSON(httptest.NewRecorder(), r, 100, &got)
		var p *Problem
		if errors.As(err, &p); c.status == 0 {
			if err != nil || got.Tea != 2 {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		} else if p == nil || p.Status != c.status || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var body map[string]any
	w := httptest.NewRecorder()
	(&Problem{Status: 400}).Write(w, httptest.NewRequest("GET", "/", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body["request_id"] != nil {
		t.Errorf("without middleware: %v, %v", body, err)
	}
}
