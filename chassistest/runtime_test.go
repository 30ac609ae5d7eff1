package chassistest

import (
	"os"
	"strconv"
	"testing"
)

// TestStormOverTheRuntime: no fault of the runtime shows in a play with failures, waits,
// on_fail tasks, dead letters, tasks that send tasks, and calls through a breaker. With
// CHASSIS_SCALE=full it plays STORM_SEEDS seeds, or 5000, from STORM_FIRST on.
func TestStormOverTheRuntime(t *testing.T) {
	seeds := 40
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = number(t, "STORM_SEEDS", 5000)
	}
	Storm(t, parcels(30), Seeds(seeds), FirstSeed(uint64(number(t, "STORM_FIRST", 1))))
}

// number is a variable of the environment, or other without it.
func number(t *testing.T, name string, other int) int {
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
