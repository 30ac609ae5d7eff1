package localsqs_test

import (
	"fmt"
	"testing"
)

func TestAMessageGoesTheWholeRoad(t *testing.T) {
	client := newClient(newServer(t))
	url := createQueue(t, client, "jobs", nil)
	for i := range 25 {
		send(t, client, url, fmt.Sprintf("body %d with \"quotes\" and ü", i))
	}
	for i := 0; i < 25; {
		for _, m := range receive(t, client, url, 10, 0) {
			if want := fmt.Sprintf("body %d with \"quotes\" and ü", i); *m.Body != want {
				t.Fatalf("message %d is %q, want %q", i, *m.Body, want)
			}
			remove(t, client, url, m)
			i++
		}
	}
	if left := receive(t, client, url, 10, 0); left != nil {
		t.Fatalf("left over: %v", left)
	}
}
