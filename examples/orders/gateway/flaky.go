package gateway

import (
	"math/rand/v2"
	"time"
)

// Flaky returns faults for [New]: one request in ten fails, half of these after all was
// done; some are slow; and for ten seconds of each minute nothing works.
func Flaky() func() Fault {
	begun := time.Now()
	return func() Fault {
		f := Fault{Delay: time.Duration(rand.IntN(30)) * time.Millisecond}
		outage := time.Since(begun)%time.Minute > 50*time.Second
		switch n := rand.IntN(20); {
		case outage || n == 0:
			f.Before = true
		case n == 1:
			f.After = true
		}
		return f
	}
}
