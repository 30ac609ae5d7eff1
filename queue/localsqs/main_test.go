package localsqs_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// net/http keeps a connection that it has refused for half a second, in which
	// the client may read the answer.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// atScale returns small, or full where CHASSIS_SCALE=full asks for the promised
// size.
func atScale(small, full int) int {
	if os.Getenv("CHASSIS_SCALE") == "full" {
		return full
	}
	return small
}
