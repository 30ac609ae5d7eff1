package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/chassistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// These two are the tests that a service has for its handler.

func TestChargeTwice(t *testing.T) { chassistest.Twice(t, rerun(right)) }

func TestChargeInAStorm(t *testing.T) { chassistest.Storm(t, storm(right)) }

// And this is what they say about the wrong one.

func TestTheWrongOneIsAccused(t *testing.T) {
	found, err := chassistest.Explore(t, rerun(wrong))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, a := range found {
		text.WriteString(a.String() + "\n\n")
	}
	want, err := os.ReadFile("testdata/twice.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("Twice says:\n%s\nwant, as in testdata/twice.txt:\n%s", &text, want)
	}
}

// wrongVariable makes the test below the failing one.
const wrongVariable = "EXAMPLE_STORM_WRONG"

func TestTheWrongOneFailsInAStorm(t *testing.T) {
	if os.Getenv(wrongVariable) != "" {
		chassistest.Storm(t, storm(wrong), deaths)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), wrongVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the storm has found nothing:\n%s", out)
	}
	for _, part := range []string{"no order is booked twice", "was booked 2 times", "chassistest.Replay(t, ", "bank POST /charges"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("the storm does not say %q", part)
		}
	}
	t.Logf("the storm says:\n%s", out)
}
