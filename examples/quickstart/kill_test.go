package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asProgram makes a process of the test's program the quickstart itself, so that it
// does not have to be built and linked once more.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestKilledAndStartedAgain kills the program by SIGKILL at random moments and
// starts it again on what it left behind. After two kills (20 with
// CHASSIS_SCALE=full) it lets the program end, which must account for every row.
func TestKilledAndStartedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the program for a while")
	}
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asProgram, "1")
	data := filepath.Join(t.TempDir(), "data")
	kills := 2
	if os.Getenv("CHASSIS_SCALE") == "full" {
		kills = 20
	}
	for killed := 0; killed < kills; {
		after := time.Duration(rand.Int64N(int64(6 * time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), after) // its end is a SIGKILL
		out, err := exec.CommandContext(ctx, bin, "-data", data).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			killed++
			t.Logf("killed after %v", after)
		case errors.As(err, &exit):
			t.Fatalf("started again after %d kills it failed: %v\n%s", killed, err, out)
		default:
			t.Logf("it was done before it could be killed after %v", after)
			accounted(t, out)
		}
		cancel()
	}
	begun := time.Now()
	out, err := exec.CommandContext(t.Context(), bin, "-data", data).CombinedOutput()
	if err != nil {
		t.Fatalf("the last start: %v\n%s", err, out)
	}
	accounted(t, out)
	t.Logf("the last start took %v\n%s", time.Since(begun), out)
}

func accounted(t *testing.T, out []byte) {
	t.Helper()
	if !bytes.Contains(out, []byte("every row is accounted for")) {
		t.Fatalf("it did not account for every row:\n%s", out)
	}
}

func TestRecipientsTellTheLineOfAMistake(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "header",
		"id,name,email,language\n2,a,b,c\n": "line 2: the id is \"2\", expected 1",
		"id,name,email,language\n1,a,b\n":   "record on line 2: wrong number of fields",
		"id,name,email,language\n1,\"a,b,c": "line 2",
	} {
		if _, err := readRecipients(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
	if rows, err := readRecipients(strings.NewReader(recipientsCSV)); err != nil || len(rows) != 3000 {
		t.Errorf("recipients.csv: %d rows, %v", len(rows), err)
	}
}
