package fleet

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheHandlerServesTheMembers(t *testing.T) {
	sys := newSystem(t)
	f, err := Join(sys, loopback())
	if err != nil {
		t.Fatal(err)
	}
	get := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		f.Handler().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		return w
	}
	if w := get(http.MethodGet); w.Code != http.StatusServiceUnavailable {
		t.Errorf("before the start: %d", w.Code)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Errorf("a stop before the start: %v", err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := get(http.MethodGet)
	var list []Member
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list) != 1 || list[0].Name != f.Name() {
		t.Errorf("%d %s: %v", w.Code, w.Body, err)
	}
	if w := get(http.MethodPost); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	stop(t, sys)
	if err := f.Stop(t.Context()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	if w := get(http.MethodGet); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the stop: %d", w.Code)
	}
}
