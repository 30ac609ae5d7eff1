package register

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scaled returns the size of a test.
func scaled(usual, full int) int {
	if os.Getenv("CHASSIS_SCALE") == "full" {
		return full
	}
	return usual
}
