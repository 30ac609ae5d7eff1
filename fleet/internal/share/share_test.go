package share

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSharesAddUp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		demands := map[string]float64{}
		for range 1 + rnd.IntN(12) {
			demands[string(rune('a'+rnd.IntN(26)))] = rnd.Float64() * math.Pow(10, float64(rnd.IntN(5)))
		}
		limit := 1 + rnd.Float64()*500
		sum, all := 0.0, 0.0
		for m, want := range demands {
			s := Of(limit, demands, m, 0)
			if s < math.Min(want, limit/float64(len(demands)))-1e-9 {
				t.Fatalf("%s wants %v of %v and gets %v: %v", m, want, limit, s, demands)
			}
			sum += s
			all += Of(limit, demands, m, 2*len(demands))
		}
		if math.Abs(sum-limit) > 1e-6 || math.Abs(all-limit/2) > 1e-6 {
			t.Fatalf("shares of %v come to %v, and %v with twice the peak: %v", limit, sum, all, demands)
		}
	}
}

func TestShares(t *testing.T) {
	for _, x := range []struct {
		demands map[string]float64
		peak    int
		want    float64 // of a
	}{
		{map[string]float64{"a": 300}, 1, 200},
		{map[string]float64{"a": 300}, 10, 20},
		{map[string]float64{"a": 300, "b": 300}, 2, 100},
		{map[string]float64{"a": 300, "b": 10}, 2, 200 - 11.5},
		{map[string]float64{"a": math.NaN(), "b": 300}, 2, 0.5},
		{map[string]float64{"b": 300}, 1, 0},
		{nil, 3, 0},
	} {
		if got := Of(200, x.demands, "a", x.peak); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%v of a peak of %d: %v, want %v", x.demands, x.peak, got, x.want)
		}
	}
}

func TestADemandOfAStrangerIsChecked(t *testing.T) {
	for name, d := range map[string]Demand{
		"no member": {}, "negative": {Member: "a", Rates: map[string]float64{"x": -1}},
		"not a number": {Member: "a", Rates: map[string]float64{"x": math.NaN()}},
		"infinite":     {Member: "a", Rates: map[string]float64{"x": math.Inf(1)}},
		"no name":      {Member: "a", Rates: map[string]float64{"": 1}},
		"long name":    {Member: "a", Rates: map[string]float64{strings.Repeat("x", 41): 1}},
		"long member":  {Member: strings.Repeat("x", 200)},
	} {
		if d.Check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if d := (Demand{Member: "a", Rates: map[string]float64{"x": 1}}); d.Check() != nil {
		t.Error(d.Check())
	}
}
