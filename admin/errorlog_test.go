package admin

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHostileHandshakesDoNotFloodTheLog: each failed one is a line of net/http.
func TestHostileHandshakesDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e := &errorLog{log: slog.New(slog.NewTextHandler(&out, nil))}
		for i := range 1000 {
			fmt.Fprintf(e, "http: TLS handshake error from 10.0.0.1:%d: \x1b[2J\n", i)
			time.Sleep(20 * time.Millisecond)
		}
		if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "not_logged_before=499") {
			t.Errorf("%d records:\n%s", n, out.String())
		}
	})
}
