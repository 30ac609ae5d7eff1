// Package tasks_test holds the promises of tasks that take a whole service to show:
// what becomes of a task over days, crashes, outages and other consumers.
// Everything runs in simulated time over the embedded queue.
package tasks_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
