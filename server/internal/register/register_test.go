package register

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two servers of a process count on one metric; another metric of the name is an error.
func TestTheSecondServerCountsOnTheMetricOfTheFirst(t *testing.T) {
	reg := prometheus.NewRegistry()
	first, err := Panics(reg)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Panics(reg)
	if err != nil || second != first {
		t.Errorf("the second is %p of %p, %v", second, first, err)
	}
	if _, err := Shared(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: MetricPanics})); err == nil {
		t.Error("a gauge of the same name is no error")
	}
}
